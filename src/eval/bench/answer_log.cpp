// Append-only JSON Lines. A line torn by a kill is cut off at opening, and lines of another model
// or context are refused.
#include "eval/bench/answer_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/system_error.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "core/log.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using nlohmann::json;

}  // namespace

AnswerLog::AnswerLog(std::filesystem::path path, std::string model, double context)
    : path_(std::move(path)), model_(std::move(model)), context_(context) {
  const std::string text = std::filesystem::exists(path_) ? core::read_file(path_) : "";
  size_t start = 0, number = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    take_over(text.substr(start, end - start), ++number);
  }
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path());
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(start)) != 0) {
    throw core::Error(core::ErrorKind::kDisk, std::string("cannot write: ") + std::strerror(errno),
                      path_.string(), "give a file that can be written as --out");
  }
  if (start < text.size()) {
    core::log_warning("{}: the last line was not whole and is cut off", path_.string());
  }
}

AnswerLog::~AnswerLog() {
  if (fd_ >= 0) ::close(fd_);
}

void AnswerLog::take_over(const std::string& line, size_t number) {
  const core::Result<json> parsed = core::parse_json(line);
  const json entry = parsed ? *parsed : json();
  const auto text = [&](const char* name) {
    return entry.is_object() && entry.contains(name) && entry[name].is_string()
               ? entry[name].get<std::string>()
               : "";
  };
  const std::string where = fmt::format("{}, line {}", path_.string(), number);
  Answer answer;
  answer.benchmark = text("benchmark");
  answer.protocol = text("protocol");
  answer.id = text("id");
  if (answer.benchmark.empty() || answer.protocol.empty() || answer.id.empty() ||
      text("model").empty() || !entry.contains("context") || !entry["context"].is_number()) {
    throw core::Error(core::ErrorKind::kData, "no answer of `streamo benchmark run`", where,
                      "give another file as --out");
  }
  if (text("model") != model_ || entry["context"].get<double>() != context_) {
    throw core::Error(core::ErrorKind::kData,
                      fmt::format("answers of model {} with context {}, not of {} with {}",
                                  text("model"), entry["context"].get<double>(), model_, context_),
                      where, "give another file as --out");
  }
  keys_.insert(answer_key(answer));
}

void AnswerLog::append(const Answer& answer) {
  auto entry = to_json(answer);
  entry["model"] = model_;
  entry["context"] = context_;
  const std::string line = core::dump_json(entry) + "\n";
  if (const int error = core::write_all(fd_, line); error != 0)
    throw core::system_error(error, "cannot write", path_.string());
  keys_.insert(answer_key(answer));
}

}  // namespace streamo::eval
