#include "launch/sites/state_claim.h"

#include <gmock/gmock.h>

#include <fstream>

#include "launch/failure.h"
#include "model/decode_error.h"
#include "tests/launch/process.h"

namespace fedstill::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class StateClaim : public ::testing::Test {
 protected:
  void claim(const SiteChoice& choice) { claim_state(folder_.path(), store_, choice); }
  Failure failure_of(const SiteChoice& choice) {
    try {
      claim(choice);
    } catch (...) {
      return describe(std::current_exception());
    }
    return {ExitCode::kOk, "", ""};
  }
  // As if it had trained for a round of a job.
  void make_something() {
    std::ofstream(folder_ / "made") << "weights";
    store_.record_update({std::string(64, 'a'), 3, store_.blobs().add_file(folder_ / "made")});
  }

  TempFolder folder_;
  ClientStore store_{folder_.path()};
  const SiteChoice first_{"hospital-a", "resnet8", "model", 600};
};

TEST_F(StateClaim, AChoiceMayChangeUntilSomethingWasMade) {
  claim(first_);
  std::ofstream(folder_ / "body-1.checkpoint") << "of the first model";
  std::ofstream(folder_ / "update") << "half a model";
  const SiteChoice second{"hospital-a", "cnn3", "predictions", 500};
  claim(second);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "body-1.checkpoint"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "update"));
  EXPECT_THAT(text_of(folder_ / "site.json"), AllOf(HasSubstr("cnn3"), HasSubstr("500")));
  make_something();
  claim(second);
  EXPECT_EQ(failure_of(first_).code, ExitCode::kUsage);
  store_.forget_update();  // as where it was refused for good
  claim(first_);
}

TEST_F(StateClaim, WhatItBelongsToIsSaidInWords) {
  claim(first_);
  make_something();
  const Failure failure =
      failure_of({"hospital-a", "sha256:" + std::string(64, 'c'), "predictions", 1200});
  EXPECT_THAT(
      failure.message,
      AllOf(HasSubstr("client hospital-a, model resnet8, 600 images, --mode model"),
            HasSubstr("for round 3 of job aaaaaaaaaaaa…; asked for: client hospital-a, model file"),
            HasSubstr("1,200 images, --mode predictions"), Not(HasSubstr("{"))));
  EXPECT_THAT(failure.hint, HasSubstr("another --state"));
}

TEST_F(StateClaim, AFolderStaysWithItsSite) {
  claim(first_);
  EXPECT_THAT(failure_of({"hospital-b", "resnet8", "model", 600}).message,
              HasSubstr("asked for: client hospital-b"));
}

TEST_F(StateClaim, OneWithoutImagesIsOfAnyNumber) {
  std::ofstream(folder_ / "site.json")
      << R"({"client":"hospital-a","mode":"model","model":"resnet8"})"
      << "\n";
  make_something();
  claim(first_);
  EXPECT_THAT(text_of(folder_ / "site.json"), HasSubstr("600"));
}

TEST_F(StateClaim, ADamagedFileIsToldAsSuch) {
  for (const char* text : {"", "[]", "{}", R"({"client":1,"mode":"model","model":"x"})"}) {
    std::ofstream(folder_ / "site.json") << text;
    EXPECT_THROW(claim(first_), DecodeError) << text;
  }
}

}  // namespace
}  // namespace fedstill::tests
