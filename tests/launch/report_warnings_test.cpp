#include "launch/report_warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ResultFacts facts() {
  return {.classes = 10, .pool_images = 800, .student_accuracy = 0.1, .ensemble_accuracy = 0.9};
}

Job job(std::int64_t epochs) {
  Job out;
  out.distillation.epochs = epochs;
  return out;
}

TEST(ReportWarnings, AStudentThatLearnedNothingInFewStepsIsToldSo) {
  EXPECT_THAT(result_warnings(job(2), facts()),
              ElementsAre(AllOf(HasSubstr("only 12 steps"), HasSubstr("warm_up_steps = 100"))));
  EXPECT_THAT(result_warnings(job(20), facts()),
              ElementsAre(AllOf(HasSubstr("only 120 steps"), Not(HasSubstr("warm_up")))));
  EXPECT_THAT(result_warnings(job(60), facts()), IsEmpty());  // steps were not what it lacked
  Job larger = job(20);
  larger.distillation.accumulate = 3;
  EXPECT_THAT(result_warnings(larger, facts()), ElementsAre(HasSubstr("only 40 steps")));
  ResultFacts good = facts();
  good.student_accuracy = 0.6;
  EXPECT_THAT(result_warnings(job(2), good), IsEmpty());
}

TEST(ReportWarnings, APoolThatNobodyRecognisesIsExplained) {
  ResultFacts unknown = facts();
  unknown.foreign_pool = true;
  unknown.student_accuracy = 0.8;
  Job asks = job(10);
  EXPECT_THAT(result_warnings(asks, unknown),
              ElementsAre(AllOf(HasSubstr("weigh alike"), HasSubstr("head.steps"))));
  asks.aggregation.rule = "mean-prob";  // asks nobody
  EXPECT_THAT(result_warnings(asks, unknown), IsEmpty());
}

}  // namespace
}  // namespace fedstill
