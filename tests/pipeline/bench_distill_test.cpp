#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/launch/process.h"

// The measurement of data-parallel distillation, with the real program.
namespace fedstill::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(BenchDistill, MeasuresEveryWayAndDrawsThem) {
  const TempFolder folder;
  const std::string plot = folder / "scaling.svg";
  Process program({"bench", "distill", "--student", "cnn3", "--images", "128", "--batch", "32",
                   "--ranks", "2", "--repeats", "1", "--alone", "--quiet", "--json", "--plot",
                   plot});
  ASSERT_EQ(program.wait(), 0) << program.err();
  const json found = json::parse(program.out());
  EXPECT_THAT(found.at("missing"), IsEmpty());
  std::set<std::pair<std::string, int>> ways;
  for (const json& row : found.at("measured")) {
    ways.emplace(row.at("name"), row.at("ranks"));
    EXPECT_GT(row.at("images_per_second"), 0.0) << row;
    EXPECT_GT(row.at("speed_up"), 0.0) << row;
  }
  EXPECT_EQ(ways, (std::set<std::pair<std::string, int>>{{"threads", 1},
                                                         {"threads", 2},
                                                         {"jobs apart", 2},
                                                         {"threads, after backward", 2},
                                                         {"mpirun", 2},
                                                         {"mpirun, after backward", 2}}));
  EXPECT_THAT(text_of(plot), HasSubstr("mpirun, after backward"));
}

}  // namespace
}  // namespace fedstill::tests
