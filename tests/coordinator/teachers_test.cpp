#include "coordinator/teachers.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

AcceptedUpdate update_of(const std::string& client, std::int64_t samples, Participation mode) {
  return {client, std::string(64, 'a'), "file-" + client, samples, mode};
}

TEST(Teachers, ModelsCountWithWhatTheySay) {
  const auto teachers = teachers_of({update_of("a", 10, Participation::kModel),
                                     update_of("b", 1'000'000, Participation::kModel)});
  ASSERT_EQ(teachers.size(), 2U);
  EXPECT_EQ(teachers[1].sample_count, 1'000'000);
  EXPECT_EQ(teachers[1].model, "file-b");
  EXPECT_EQ(teachers[1].hash, std::string(64, 'a'));
  EXPECT_FALSE(teachers[1].predictions);
}

TEST(Teachers, PredictionsCountWithTheMedianAtMost) {
  const PredictionsShape pool{std::string(64, 'b'), 5, 3};
  const auto teachers = teachers_of({update_of("a", 10, Participation::kModel),
                                     update_of("b", 1'000'000, Participation::kPredictions),
                                     update_of("c", 7, Participation::kPredictions)},
                                    pool);
  EXPECT_EQ(teachers[0].sample_count, 10);
  EXPECT_EQ(teachers[1].sample_count, 10);
  EXPECT_EQ(teachers[2].sample_count, 7);
  EXPECT_EQ(teachers[1].predictions, pool);
  EXPECT_TRUE(teachers_of({}).empty());
}

// Of two the lower one: whoever claims the most sets no limit for itself.
TEST(Teachers, AloneAgainstOneModelItDoesNotOutweighIt) {
  const auto teachers = teachers_of({update_of("a", 10, Participation::kModel),
                                     update_of("b", 1'000'000, Participation::kPredictions)});
  EXPECT_EQ(teachers[1].sample_count, 10);
}

}  // namespace
}  // namespace fedstill
