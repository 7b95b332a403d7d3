#include "core/suggest.h"

#include <gtest/gtest.h>

namespace streamo::core {
namespace {

const std::vector<std::string> kKeys = {"data.max_length", "data.max_pixels", "optim.lr",
                                        "train.seed"};

TEST(NearestName, FindsTypingMistakes) {
  EXPECT_EQ(nearest_name("data.max_lenght", kKeys), "data.max_length");
  EXPECT_EQ(nearest_name("data.maxpixels", kKeys), "data.max_pixels");
  EXPECT_EQ(nearest_name("model.seed", kKeys), "train.seed");
}

TEST(NearestName, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest_name("completely.different", kKeys), "");
  EXPECT_EQ(suggestion("completely.different", {"a", "b"}), "known: a, b");
}

}  // namespace
}  // namespace streamo::core
