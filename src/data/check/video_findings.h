// What is odd about a video that can be read.
#pragma once

#include "data/check/label_findings.h"
#include "streamo/video/sampler.h"

namespace streamo::data {

// `fps`: turns a second. Odd is what the model would hardly see as a moving picture: fewer pictures
// than turns, one picture on screen for several turns, a single picture, a strip; and a file that
// ends well before it says it does.
void find_video_problems(const video::VideoInfo& info, double fps, Findings& findings);

}  // namespace streamo::data
