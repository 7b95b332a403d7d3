#include "bench/step_batch.h"

#include <utility>

#include "core/rng.h"

namespace streamo::bench {
namespace {

constexpr int kTurns = 64, kPictureSide = 112, kVisualTokens = 16;
constexpr int kSystemTokens = 300, kQuestionTokens = 20, kAnswerTokens = 12, kTimeTagTokens = 8;
constexpr int kAnswerEvery = 20;  // turns

// Of step_model.json; the states take the ids after them.
constexpr text::TokenId kImStart = 1, kImEnd = 2, kVisionStart = 3, kVisionEnd = 4, kImagePad = 5,
                        kFirstState = 7, kFirstText = 16;

class Writer {
 public:
  Writer(data::Example& example, int64_t vocab_size, uint64_t seed)
      : example_(example), vocab_size_(vocab_size), rng_({seed}) {}

  void put(text::TokenId id) { example_.input_ids.push_back(id); }
  void put_text(int count) {
    for (int i = 0; i < count; ++i) put(random_text());
  }
  void supervise(text::TokenId id, int state) {
    example_.rows.push_back(static_cast<int64_t>(example_.input_ids.size()) - 1);
    example_.targets.push_back(id);
    example_.states.push_back(state);
    put(id);
  }
  void supervise_text(int count) {
    for (int i = 0; i < count; ++i) supervise(random_text(), -1);
  }
  // "<|im_start|>role\n", with the newline that ends the message before.
  void header() {
    if (!example_.input_ids.empty()) put_text(1);
    put(kImStart);
    put_text(2);
  }
  void picture() {
    put(kVisionStart);
    for (int i = 0; i < kVisualTokens; ++i) put(kImagePad);
    put(kVisionEnd);
    video::Frame frame;
    frame.size = {kPictureSide, kPictureSide};
    for (int i = 0; i < kPictureSide * kPictureSide * 3; ++i) {
      frame.rgb.push_back(static_cast<uint8_t>(rng_.integer(0, 255)));
    }
    example_.frames.push_back(std::move(frame));
  }

 private:
  text::TokenId random_text() {
    return static_cast<text::TokenId>(rng_.integer(kFirstText, vocab_size_ - 1));
  }

  data::Example& example_;
  int64_t vocab_size_;
  core::Rng rng_;
};

}  // namespace

data::MicroBatch make_step_batch(int64_t vocab_size, uint64_t seed) {
  data::Example example;
  example.id = "bench";
  Writer writer(example, vocab_size, seed);
  writer.header();
  writer.put_text(kSystemTokens);
  writer.put(kImEnd);
  for (int turn = 0; turn < kTurns; ++turn) {
    writer.header();
    if (turn == 0) writer.put_text(kQuestionTokens);
    writer.put_text(kTimeTagTokens);
    writer.picture();
    writer.put(kImEnd);
    writer.header();
    // Ten silent turns, nine of standby, one answer.
    const int phase = turn % kAnswerEvery;
    const int state = phase == kAnswerEvery - 1 ? 2 : phase < kAnswerEvery / 2 ? 0 : 1;
    writer.supervise(kFirstState + state, state);
    if (state == 2) writer.supervise_text(kAnswerTokens);
    writer.supervise(kImEnd, -1);
  }
  data::MicroBatch batch;
  batch.append(std::move(example));
  return batch;
}

}  // namespace streamo::bench
