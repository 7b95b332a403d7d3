// What settings of a model mean for the reading of annotated videos, in training and afterwards.
#pragma once

#include "data/samples/sample_source.h"
#include "model/hf_directory.h"
#include "streamo/stream/inference_settings.h"
#include "streamo/video/resize.h"

namespace streamo::stream {

// The settings' own limits come first, then those of the image processor.
video::PixelLimits pixel_limits(const InferenceSettings& settings,
                                const model::PictureLimits& processor);

// How annotation files are read for a model with these settings, pictures within `limits`.
data::SourceOptions source_options(const InferenceSettings& settings,
                                   const video::PixelLimits& limits);

}  // namespace streamo::stream
