// The truth is the form that README.md gives: `error: <where>: <what>`, then `  hint: <what to
// do>`.
#include "streamo/core/error.h"

#include <gtest/gtest.h>

#include <string>

namespace streamo::core {
namespace {

TEST(Error, ReadsAsPlaceProblemAndHint) {
  const Error error(ErrorKind::kDisk, "cannot write: No space left on device", "run/x.json",
                    "free some space");
  EXPECT_STREQ(error.what(),
               "run/x.json: cannot write: No space left on device\n  hint: free some space");
  EXPECT_EQ(error.summary(), "run/x.json: cannot write: No space left on device");
  EXPECT_EQ(error.hint(), "free some space");
  EXPECT_EQ(error.exit_code(), 14);
}

TEST(Error, WhatIsNotKnownIsLeftOut) {
  EXPECT_STREQ(Error(ErrorKind::kData, "no sample").what(), "no sample");
  EXPECT_STREQ(Error(ErrorKind::kData, "no sample", "a.json").what(), "a.json: no sample");
  EXPECT_STREQ(Error(ErrorKind::kData, "no sample", {}, "add some").what(),
               "no sample\n  hint: add some");
  EXPECT_EQ(Error(ErrorKind::kData, "no sample", {}, "add some").summary(), "no sample");
}

TEST(Error, AFailedCheckNamesItsPlaceAndIsOurBug) {
  try {
    STREAMO_CHECK(1 + 1 == 3, "arithmetic");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 70);
    EXPECT_NE(error.summary().find("error_test.cpp:"), std::string::npos) << error.what();
    EXPECT_NE(error.summary().find("arithmetic (1 + 1 == 3)"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace streamo::core
