#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/pipeline/gpu.h"
#include "tests/pipeline/small_job.h"

// Where the real program trains: on a GPU where one is, and without one a clear refusal.
namespace fedstill::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kNoDevice = 13;

class Device : public Pipeline {
 protected:
  static void expect_refused(const Finished& done) {
    EXPECT_EQ(done.code, kNoDevice) << done.err;
    EXPECT_THAT(done.err, AllOf(StartsWith("fedstill: [device] "), HasSubstr("\nhint: ")));
    EXPECT_EQ(std::ranges::count(done.err, '\n'), 2) << done.err;  // the error and its hint
  }
};

TEST_F(Device, WithoutAGpuARunIsRefusedBeforeItHasAFolder) {
  if (has_gpu()) GTEST_SKIP() << "a GPU is here";
  expect_refused(run_program(small_job(fresh("gpu"), {"--device", "cuda"})));
  expect_refused(run_program(small_job(fresh("gpu"), {"--set", "run.device=cuda:1"})));
  EXPECT_FALSE(fs::exists(fresh("gpu")));
}

TEST_F(Device, WithoutAGpuWhatHasNoFolderIsRefusedToo) {
  if (has_gpu()) GTEST_SKIP() << "a GPU is here";
  expect_refused(run_program({"bench", "distill", "--device", "cuda", "--alone", "--quiet"}));
  expect_refused(run_program({"evaluate", (reference() / "student.safetensors").string(), "--data",
                              "synthetic:4x1x16x16", "--device", "cuda:0"}));
}

TEST_F(Device, WithoutAGpuARunThatBeganOnOneGoesOnHere) {
  if (has_gpu()) GTEST_SKIP() << "a GPU is here";
  const auto folder = fresh("moved");
  fs::copy(reference(), folder, fs::copy_options::recursive);
  expect_refused(
      run_program({"simulate", "--resume", folder.string(), "--quiet", "--device", "cuda"}));
  const Finished done =
      run_program({"simulate", "--resume", folder.string(), "--quiet", "--device", "cpu"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(student_of(folder), student_of(reference()));
}

TEST_F(Device, ANameThatIsNoneIsAMistake) {
  EXPECT_EQ(run_program({"simulate", "--device", "gpu"}).code, 2);
  const Finished done = run_program(small_job(fresh("gpu"), {"--set", "run.device=cuda:x"}));
  EXPECT_EQ(done.code, 3) << done.err;
  EXPECT_THAT(done.err, HasSubstr("expected cpu, cuda or cuda:N"));
  EXPECT_FALSE(fs::exists(fresh("gpu")));
}

TEST_F(Device, TheReportSaysWhich) {
  EXPECT_EQ(report_of(reference()).at("machine").at("device"), "cpu");
}

TEST_F(Device, TheWholeWayOnAGpu) {
  if (!has_gpu()) GTEST_SKIP() << "no GPU is here";
  const auto folder = fresh("on-gpu");
  const Finished done = run_program(small_job(folder, {"--device", "cuda"}));
  ASSERT_EQ(done.code, 0) << done.err;
  const auto there = report_of(folder), here = report_of(reference());
  EXPECT_THAT(there.at("machine").at("device").get<std::string>(), StartsWith("cuda:"));
  EXPECT_NEAR(there.at("student").at("test_accuracy").get<double>(),
              here.at("student").at("test_accuracy").get<double>(), 0.1);
}

}  // namespace
}  // namespace fedstill::tests
