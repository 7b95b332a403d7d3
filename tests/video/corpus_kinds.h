// The kinds of video files that the corpus tests make, and which picture each second of them shows.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "support/numbered_clip.h"

namespace streamo::video {
namespace fs = std::filesystem;

struct Shown {
  int number;
  int64_t ticks;  // from the first
};

// The pictures of a clip as they are shown; `num / den` seconds a tick.
struct Truth {
  std::vector<Shown> pictures = {};
  int64_t num = 1, den = 25;
  int64_t end = 0;  // ticks
};

struct Clip {
  fs::path path;
  std::optional<Truth> truth;  // none: pictures at the constant rate they were made for
};

enum class Way { kPlan, kSequential };  // that the file is decoded in

struct Kind {
  std::string name, file;
  std::string encode;
  Way way = Way::kPlan;
  int64_t num = 25, den = 1;  // the rate
  int frames = 80;
  FrameSize size{48, 64};
  std::function<Clip(const Kind&, const fs::path& made)> finish = {};
};

inline void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

inline Truth constant_rate(int frames, int64_t num, int64_t den, int first = 0) {
  Truth truth{.num = den, .den = num, .end = frames};
  for (int i = 0; i < frames; ++i) truth.pictures.push_back({first + i, i});
  return truth;
}

// At 1/fps seconds, `half` half of such a step later.
inline std::vector<int> expected(const Truth& truth, int64_t fps, bool half) {
  const int64_t per_tick = truth.num * fps;  // den-ths of a sample
  const int64_t samples = std::max(truth.pictures.back().ticks * per_tick / truth.den + 1,
                                   truth.end * per_tick / truth.den);
  std::vector<int> numbers;
  size_t at = 0;
  for (int64_t k = 0; k < samples; ++k) {
    const auto reached = [&](size_t i) {
      return 2 * truth.pictures[i].ticks * per_tick <= (2 * k + (half ? 1 : 0)) * truth.den;
    };
    while (at + 1 < truth.pictures.size() && reached(at + 1)) ++at;
    numbers.push_back(truth.pictures[at].number);
  }
  return numbers;
}

// ---- What is done to a clip after it is encoded
// --------------------------------------------------

// The times as ffprobe decodes them; numbers ascend by one, to `last`.
inline Truth probed(const fs::path& path, int last) {
  const test::ShownTimes shown = test::shown_times(path);
  Truth truth{.num = shown.tick_num, .den = shown.tick_den};
  int number = last + 1 - static_cast<int>(shown.ticks.size());
  for (const int64_t ticks : shown.ticks) {
    truth.pictures.push_back({number++, ticks - shown.ticks.front()});
  }
  truth.end = truth.pictures.back().ticks;
  return truth;
}

inline std::function<Clip(const Kind&, const fs::path&)> cut(const std::string& name,
                                                             const std::string& from) {
  return [=](const Kind& kind, const fs::path& made) {
    const fs::path path = test::remux(made, made.parent_path() / name, "-ss " + from, "");
    return Clip{path, probed(path, kind.frames - 1)};
  };
}

inline std::function<Clip(const Kind&, const fs::path&)> copied(const std::string& name,
                                                                const std::string& before,
                                                                const std::string& after) {
  return [=](const Kind&, const fs::path& made) {
    return Clip{test::remux(made, made.parent_path() / name, before, after), std::nullopt};
  };
}

// Pictures for which `kept` holds, at their places in 25 a second.
inline std::function<Clip(const Kind&, const fs::path&)> kept(std::function<bool(int)> holds) {
  return [=](const Kind& kind, const fs::path& made) {
    Truth truth;
    for (int i = 0; i < kind.frames; ++i) {
      if (holds(i)) truth.pictures.push_back({i, i});
    }
    truth.end = truth.pictures.back().ticks;
    return Clip{made, truth};
  };
}

// ffmpeg's names of x264's and x265's ways of making groups of 12 with references among their B
// pictures.
inline const std::string kX264 = "-c:v libx264 -preset ultrafast -threads 1 ";
inline const std::string kX265 =
    "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:";
inline const std::string kGroups = "keyint=24:min-keyint=24:scenecut=0:bframes=3:b-adapt=0";
inline const std::string kVp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 ";
inline const std::string kVp9Layers =
    kVp9 + "-lag-in-frames 0 -error-resilient 1 -b:v 400k -ts-parameters ts_layering_mode=";
inline const std::string kWebcam =
    "-vf \"select='lt(n,30)+gt(n,80)*mod(n,3)+eq(n,50)'\" -fps_mode "
    "passthrough ";
inline bool webcam(int n) {
  return n < 30 || (n > 80 && n % 3 != 0) || n == 50;
}
inline const std::string kSlides = "-vf \"select='not(mod(n,70))'\" -fps_mode passthrough ";
inline bool slides(int n) {
  return n % 70 == 0;
}

inline Clip mirrored(const Kind&, const fs::path& made) {
  return {test::turn(made, -1, 0, 0, 1), std::nullopt};
}

inline Clip turned_clockwise(const Kind&, const fs::path& made) {
  return {test::turn(made, 0, 1, -1, 0), std::nullopt};
}

// The larger, numbered from 0, against the one that the file calls the default, numbered from 40.
inline Clip with_a_larger_one(const Kind& kind, const fs::path& made) {
  const fs::path folder = made.parent_path();
  const fs::path large = test::make_clip(
      folder / "large.mp4", {.frames = kind.frames, .size = {96, 128}, .encode = kX264});
  const fs::path both = folder / "both.mp4";
  test::run_or_throw(
      fmt::format("ffmpeg -v error -y -i {} -ss 2 -i {} -map 0 -map 1 -c copy -disposition:v:0 0 "
                  "-disposition:v:1 default {}",
                  large.string(), made.string(), both.string()));
  return {both, constant_rate(kind.frames - 50, 25, 1, 50)};
}

inline const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      // Rates
      {"r23976", "a.mp4", kX264 + "-bf 2 -g 50", Way::kPlan, 24000, 1001},
      {"r25_mkv", "a.mkv", kX264 + "-bf 2 -g 50"},
      {"r2997", "a.mp4", kX264 + "-bf 2 -g 50", Way::kPlan, 30000, 1001, 110},
      {"r2997_mkv", "a.mkv", kX264 + "-bf 2 -g 50", Way::kPlan, 30000, 1001, 110},
      {"r30_ts", "a.ts", kX264 + "-bf 2 -g 50", Way::kPlan, 30, 1, 110},
      {"r5994", "a.mp4", kX264 + "-bf 2 -g 50", Way::kPlan, 60000, 1001, 200},
      {"r1", "a.mp4", kX264, Way::kPlan, 1, 1, 6},
      // Groups
      {"one_group", "a.mp4", kX264 + "-bf 2 -g 1000", Way::kPlan, 25, 1, 160},
      {"keyframes_only", "a.mp4", kX264 + "-g 1"},
      {"no_b", "a.mp4", kX264 + "-tune zerolatency -g 30"},
      {"pyramid", "a.mp4", kX264 + "-x264-params b-pyramid=normal:open-gop=0:" + kGroups},
      {"open_gop", "a.mp4", kX264 + "-x264-params b-pyramid=normal:open-gop=1:" + kGroups},
      {"open_gop_ts", "a.ts", kX264 + "-x264-params b-pyramid=normal:open-gop=1:" + kGroups},
      {"open_gop_mkv", "a.mkv", kX264 + "-x264-params b-pyramid=strict:open-gop=1:" + kGroups},
      {"refresh", "a.mp4", kX264 + "-x264-params intra-refresh=1:keyint=24", Way::kPlan},
      {"refresh_ts", "a.ts", kX264 + "-x264-params intra-refresh=1:keyint=24", Way::kPlan},
      {"refresh_mkv", "a.mkv", kX264 + "-x264-params intra-refresh=1:keyint=24", Way::kPlan},
      {"slices", "a.mp4", kX264 + "-x264-params slices=4:" + kGroups},
      {"hevc", "a.mp4", kX265 + "open-gop=0:" + kGroups},
      {"hevc_open", "a.mp4", kX265 + "open-gop=1:" + kGroups},
      {"hevc_open_ts", "a.ts", kX265 + "open-gop=1:" + kGroups},
      {"hevc_open_mkv", "a.mkv", kX265 + "open-gop=1:" + kGroups},
      {"hevc_layers", "a.mp4", kX265 + "temporal-layers=1:b-pyramid=1:" + kGroups},
      {"hevc_refresh", "a.mp4", kX265 + "intra-refresh=1:keyint=24:bframes=0"},
      {"hevc_radl", "a.mp4", kX265 + "open-gop=0:radl=2:" + kGroups},
      {"mpeg2_ts", "a.ts", "-c:v mpeg2video -bf 2 -g 12 -q:v 2"},
      {"mpeg2_closed", "a.ts",
       "-c:v mpeg2video -bf 2 -g 12 -q:v 2 -flags +cgop -sc_threshold "
       "1000000000"},
      // Uneven times
      {"webcam",
       "a.mp4",
       kWebcam + kX264 + "-bf 2",
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       kept(webcam)},
      {"webcam_mkv",
       "a.mkv",
       kWebcam + kX264 + "-bf 2",
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       kept(webcam)},
      {"webcam_vp8",
       "a.webm",
       kWebcam + "-c:v libvpx -deadline realtime -cpu-used 8 -g 20",
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       kept(webcam)},
      {"slides", "a.mp4", kSlides + kX264, Way::kPlan, 25, 1, 290, {48, 64}, kept(slides)},
      {"slides_ts", "a.ts", kSlides + kX264, Way::kPlan, 25, 1, 290, {48, 64}, kept(slides)},
      // Cuts, late beginnings
      {"edit_list",
       "whole.mp4",
       kX264 + "-bf 2 -g 50",
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       cut("a.mp4", "1.3")},
      {"edit_list_open",
       "whole.mp4",
       kX264 + "-x264-params open-gop=1:" + kGroups,
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       cut("a.mov", "1.5")},
      {"edit_list_hevc",
       "whole.mp4",
       kX265 + "open-gop=1:" + kGroups,
       Way::kPlan,
       25,
       1,
       150,
       {48, 64},
       cut("a.mp4", "2.2")},
      {"empty_edit",
       "whole.mp4",
       kX264 + "-bf 2",
       Way::kPlan,
       25,
       1,
       80,
       {48, 64},
       copied("a.mp4", "-itsoffset 2.5", "-avoid_negative_ts disabled")},
      {"ts_600", "a.ts", kX264 + "-bf 2 -output_ts_offset 600"},
      {"ts_wraps", "a.ts", kX264 + "-bf 2 -output_ts_offset 95440.7"},
      {"mkv_late", "a.mkv", kX264 + "-bf 2 -output_ts_offset 7"},
      // Without times
      {"raw_h264", "a.h264", kX264 + "-bf 2 -g 50", Way::kSequential},
      {"raw_hevc", "a.hevc", kX265 + kGroups, Way::kSequential},
      {"raw_mpeg2", "a.m2v", "-c:v mpeg2video -bf 2 -q:v 2", Way::kSequential},
      {"raw_mjpeg", "a.mjpeg", "-c:v mjpeg -q:v 2"},
      {"avi_b", "a.avi", "-c:v mpeg4 -bf 2 -q:v 2", Way::kSequential},
      {"avi_h264", "a.avi", kX264 + "-bf 2", Way::kSequential},
      {"avi_mjpeg", "a.avi", "-c:v mjpeg -q:v 2"},
      // Written without going back
      {"fragments", "a.mp4", kX264 + "-bf 2 -g 20 -movflags frag_keyframe+empty_moov"},
      {"fragments_dash", "a.mp4", kX264 + "-bf 2 -g 20 -movflags dash+delay_moov"},
      {"live_webm", "a.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -f webm pipe:1 >"},
      {"live_mkv", "a.mkv", kX264 + "-bf 2 -f matroska pipe:1 >"},
      {"live_flv", "a.flv", kX264 + "-bf 2 -f flv pipe:1 >"},
      {"live_nut", "a.nut", kX264 + "-bf 2 -f nut pipe:1 >"},
      // Streams
      {"default_stream",
       "small.mp4",
       kX264 + "-g 25",
       Way::kPlan,
       25,
       1,
       80,
       {48, 64},
       with_a_larger_one},
      {"mirrored", "a.mp4", "-vf hflip " + kX264, Way::kPlan, 25, 1, 80, {48, 64}, mirrored},
      {"turned",
       "a.mp4",
       "-vf transpose=cclock " + kX264,
       Way::kPlan,
       25,
       1,
       80,
       {48, 64},
       turned_clockwise},
      {"aspect", "a.mp4", "-vf setsar=64/45 " + kX264},
      // Sizes
      {"cropped", "a.mp4", kX264, Way::kPlan, 25, 1, 80, {50, 70}},
      {"odd", "a.mp4", kX264 + "-pix_fmt yuv444p", Way::kPlan, 25, 1, 80, {75, 97}},
      {"odd_vp9",
       "a.webm",
       "-c:v libvpx-vp9 -deadline realtime -cpu-used 8",
       Way::kPlan,
       25,
       1,
       60,
       {75, 97}},
      {"tiny", "a.mp4", kX264 + "-qp 0", Way::kPlan, 25, 1, 60, {16, 16}},
      {"one_picture", "a.mp4", kX264, Way::kPlan, 25, 1, 1},
      {"large_4k", "a.mp4", kX264 + "-qp 30", Way::kPlan, 4, 1, 6, {2160, 3840}},
      // Pictures of other kinds
      {"interlaced", "a.mp4", kX264 + "-flags +ilme+ildct -bf 2"},
      {"interlaced_ts", "a.ts", kX264 + "-flags +ilme+ildct -bf 2"},
      {"interlaced_mpeg2", "a.ts", "-c:v mpeg2video -flags +ilme+ildct -bf 2 -q:v 2"},
      {"h264_10bit", "a.mp4", kX264 + "-pix_fmt yuv420p10le -bf 2"},
      {"hevc_10bit", "a.mp4", kX265 + kGroups + " -pix_fmt yuv420p10le -tag:v hvc1"},
      {"full_range", "a.mp4", kX264 + "-pix_fmt yuvj420p"},
      {"bt709", "a.mp4", kX264 + "-colorspace bt709 -color_range tv"},
      {"bt2020", "a.mkv", kX264 + "-colorspace bt2020nc -color_range pc"},
      {"grey", "a.mp4", kX264 + "-pix_fmt gray"},
      {"yuv422", "a.mp4", kX264 + "-pix_fmt yuv422p"},
      {"rgb", "a.mp4", "-c:v libx264rgb -preset ultrafast -threads 1 -pix_fmt rgb24"},
      // Codecs
      {"vp8_hidden", "a.webm",
       "-c:v libvpx -deadline good -cpu-used 5 -auto-alt-ref 1 "
       "-lag-in-frames 16 -arnr-maxframes 3 -g 60 -b:v 200k",
       Way::kPlan, 25, 1, 120},
      {"vp9_hidden", "a.webm",
       "-c:v libvpx-vp9 -deadline good -cpu-used 5 -auto-alt-ref 1 "
       "-lag-in-frames 16 -g 60",
       Way::kPlan, 25, 1, 120},
      {"vp9_mp4", "a.mp4", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30"},
      {"vp9_resilient", "a.webm",
       "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 "
       "-error-resilient 1"},
      {"vp9_layers2", "a.webm",
       kVp9Layers + "2:ts_number_layers=2:ts_target_bitrate=240,400:ts_rate_decimator=2,1:"
                    "ts_periodicity=2:ts_layer_id=0,1"},
      {"vp9_layers3", "a.mkv",
       kVp9Layers + "3:ts_number_layers=3:ts_target_bitrate=160,240,400:ts_rate_decimator=4,2,1:"
                    "ts_periodicity=4:ts_layer_id=0,2,1,2"},
      {"vp9_segments", "a.webm", kVp9 + "-aq-mode 3 -lag-in-frames 0 -b:v 200k"},
      {"vp9_pyramid", "a.webm",
       "-c:v libvpx-vp9 -deadline good -cpu-used 5 -aq-mode 1 -auto-alt-ref 6 -lag-in-frames 25 -g "
       "60",
       Way::kPlan, 25, 1, 120},
      {"vp9_lossless", "a.mp4", kVp9 + "-lossless 1"},
      {"vp9_444", "a.webm", kVp9 + "-pix_fmt yuv444p"},
      {"vp9_10bit", "a.mkv", kVp9 + "-pix_fmt yuv420p10le"},
      {"av1_aom", "a.mp4", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 30"},
      {"av1_aom_hidden", "a.mkv", "-c:v libaom-av1 -cpu-used 8 -lag-in-frames 19 -g 40", Way::kPlan,
       25, 1, 60},
      {"av1_svt", "a.mp4", "-c:v libsvtav1 -preset 12 -g 40", Way::kPlan, 25, 1, 80, {64, 96}},
      {"mpeg1_ps", "a.mpg", "-c:v mpeg1video -bf 2 -g 12 -q:v 2", Way::kSequential},
      {"mpeg2_ps", "a.vob", "-c:v mpeg2video -bf 2 -g 12 -q:v 2", Way::kSequential},
      {"mpeg4", "a.mp4", "-c:v mpeg4 -bf 2 -g 20 -q:v 2"},
      {"xvid", "a.mkv", "-c:v libxvid -g 20 -q:v 2"},
      {"mjpeg", "a.mov", "-c:v mjpeg -q:v 2"},
      {"theora", "a.ogv", "-c:v libtheora -q:v 10 -g 20"},
      {"wmv1", "a.wmv", "-c:v wmv1 -q:v 2 -g 20"},
      {"wmv2", "a.wmv", "-c:v wmv2 -q:v 2 -g 20"},
      {"msmpeg4", "a.avi", "-c:v msmpeg4v2 -q:v 6 -g 20"},
      {"flv1", "a.flv", "-c:v flv -q:v 2 -g 20"},
      {"flv_h264", "a.flv", kX264 + "-bf 2 -g 20"},
      {"h263", "a.3gp", "-c:v h263 -q:v 2 -g 20", Way::kPlan, 25, 1, 80, {96, 128}},
      {"gif", "a.gif", "-pix_fmt rgb8", Way::kSequential},
      {"apng", "a.apng", "-pix_fmt rgb24", Way::kSequential},
      {"prores", "a.mov", "-c:v prores_ks -pix_fmt yuv422p10le"},
      {"ffv1", "a.mkv", "-c:v ffv1 -g 20", Way::kSequential},
      {"huffyuv", "a.avi", "-c:v huffyuv -pix_fmt yuv422p"},
      {"rawvideo", "a.mov", "-c:v rawvideo -pix_fmt yuyv422"},
      {"png", "a.png", "-pix_fmt rgb24", Way::kPlan, 25, 1, 1},
      {"jpeg", "a.jpg", "-q:v 2", Way::kPlan, 25, 1, 1},
  };
  return all;
}
}  // namespace streamo::video
