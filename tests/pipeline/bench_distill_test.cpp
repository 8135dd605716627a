#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/launch/process.h"
#include "tests/pipeline/stub_python.h"
#include "tests/support/environment.h"

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

// Speeds of one and of two ranks as the program for PyTorch prints them.
json beside_pytorch(const StubPython& python) {
  const Variable named("FEDSTILL_BENCH_PYTHON", python.path());
  Process program({"bench", "distill", "--student", "cnn3", "--images", "128", "--batch", "32",
                   "--ranks", "2", "--repeats", "1", "--quiet", "--json"});
  EXPECT_EQ(program.wait(), 0) << program.err();
  return json::parse(program.out());
}

TEST(BenchDistill, PyTorchDoesTheSameWorkAndItsSpeedsAreRead) {
  const StubPython python("echo ddp $3 overlap $(($3 * 1000 - 250))");
  const json found = beside_pytorch(python);
  EXPECT_THAT(found.at("missing"), IsEmpty());
  std::vector<json> rows;
  for (const json& row : found.at("measured")) {
    if (row.at("name") == "PyTorch DDP") rows.push_back(row);
  }
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("images_per_second"), 750.0);
  EXPECT_EQ(rows[1].at("images_per_second"), 1750.0);
  EXPECT_DOUBLE_EQ(rows[1].at("speed_up"), 1750.0 / 750.0);
  for (const char* ranks : {"1", "2"}) {
    EXPECT_THAT(python.asked(), HasSubstr("pytorch_ddp.py --ranks " + std::string(ranks) +
                                          " --student cnn3 --batch 32 --images 128\n"));
  }
}

TEST(BenchDistill, WherePyTorchFailsItIsLeftOut) {
  const StubPython python("echo ddp 1 overlap 750; exit 3");
  const json found = beside_pytorch(python);
  EXPECT_EQ(found.at("missing"), json::array({"PyTorch: ended with 3"}));
  for (const json& row : found.at("measured")) EXPECT_NE(row.at("name"), "PyTorch DDP");
}

}  // namespace
}  // namespace fedstill::tests
