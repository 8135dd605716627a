#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/launch/process.h"
#include "tests/pipeline/stub_python.h"
#include "tests/support/environment.h"
#include "training/chain/kernels.h"

// The measurement that needs no job, with the real program.
namespace fedstill::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::vector<std::string> simulate(const std::vector<std::string>& more) {
  std::vector<std::string> words{"bench",     "simulate", "--data",  "synthetic",
                                 "--clients", "50",       "--quiet", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json measured(const std::vector<std::string>& more) {
  Process program(simulate(more));
  EXPECT_EQ(program.wait(), 0) << program.err();
  return json::parse(program.out());
}

TEST(BenchSimulate, WorkersDoNotChangeTheModel) {
  const json one = measured({"--alone"}), three = measured({"--alone", "--workers", "3"});
  EXPECT_EQ(one.at("engine"), "closed-form");
  EXPECT_EQ(one.at("fedstill").at("trained_sha256"), three.at("fedstill").at("trained_sha256"));
  EXPECT_GT(one.at("fedstill").at("test_accuracy"), 0.15);
}

TEST(BenchSimulate, TakesAnyModelAndAnySplit) {
  const json found =
      measured({"--alone", "--model", "resnet8", "--split", "dirichlet-clients", "--rounds", "1",
                "--per-round", "2", "--weighting", "uniform", "--repeats", "2"});
  EXPECT_EQ(found.at("engine"), "autograd");
  EXPECT_EQ(found.at("fedstill").at("seconds_of_repeats").size(), 2U);
}

TEST(BenchSimulate, Bf16EndsNearFloat32) {
  for (const char* engine : {"closed-form", "autograd"}) {
    const json exact = measured({"--alone", "--rounds", "20", "--engine", engine});
    const json rough = measured({"--alone", "--rounds", "20", "--engine", engine, "--bf16"});
    EXPECT_FALSE(exact.at("bf16"));
    EXPECT_TRUE(rough.at("bf16"));
    const json &a = exact.at("fedstill"), &b = rough.at("fedstill");
    EXPECT_NE(a.at("trained_sha256"), b.at("trained_sha256")) << engine;
    EXPECT_NEAR(a.at("test_accuracy").get<double>(), b.at("test_accuracy").get<double>(), 0.02);
  }
}

TEST(BenchSimulate, Bf16SaysWhereItDoesNotPay) {
  Process program(simulate({"--alone", "--rounds", "1", "--bf16"}));
  EXPECT_EQ(program.wait(), 0) << program.err();
  const bool native = chain::fastest_kernels().bf16.native;
  EXPECT_EQ(program.err().find("AVX512_BF16") == std::string::npos, native) << program.err();
}

TEST(BenchSimulate, WithoutTorchItSaysWhatIsMissing) {
  const Variable python("FEDSTILL_BENCH_PYTHON", "no-such-python");
  const json found = measured({});
  EXPECT_FALSE(found.contains("bare_loop"));
  EXPECT_THAT(found.at("bare_loop_missing"), HasSubstr("FEDSTILL_BENCH_PYTHON"));
}

// A loop that leaves the first weights as they were, and says what it would say.
TEST(BenchSimulate, TheBareLoopsResultIsReadAndCompared) {
  const StubPython python(R"(
for round in 1 2; do echo $round; done
cp "$2/weights.f32" "$2/trained.f32"
cat > "$2/result.json" << END
{"trainings": 40, "seconds": 8.0, "start_up_seconds": 1.5, "test_accuracy": 0.25,
 "peak_rss_bytes": 123000000, "torch": "none"}
END)");
  const Variable named("FEDSTILL_BENCH_PYTHON", python.path());
  const json found = measured({"--rounds", "2", "--repeats", "2"});
  EXPECT_FALSE(found.contains("bare_loop_missing"));
  const json& loop = found.at("bare_loop");
  EXPECT_EQ(loop.at("trainings_per_second"), 5.0);
  EXPECT_EQ(loop.at("seconds_of_repeats"), json::array({8.0, 8.0}));
  EXPECT_EQ(loop.at("start_up_seconds"), 1.5);
  EXPECT_EQ(loop.at("test_accuracy"), 0.25);
  EXPECT_EQ(loop.at("peak_rss_bytes"), 123'000'000);
  const double ours = found.at("fedstill").at("trainings_per_second");
  EXPECT_DOUBLE_EQ(found.at("times_bare_loop"), ours / 5.0);
  EXPECT_GT(found.at("largest_weight_difference"), 0.0);  // what was trained here moved
  EXPECT_NE(loop.at("trained_sha256"), found.at("fedstill").at("trained_sha256"));
  EXPECT_THAT(python.asked(), HasSubstr("/loop.py "));
}

TEST(BenchSimulate, ABareLoopThatFailsIsSaid) {
  const StubPython without_torch("exit 3"), broken("exit 1");
  {
    const Variable named("FEDSTILL_BENCH_PYTHON", without_torch.path());
    EXPECT_THAT(measured({"--rounds", "1"}).at("bare_loop_missing"),
                HasSubstr("cannot import torch"));
  }
  const Variable named("FEDSTILL_BENCH_PYTHON", broken.path());
  Process program(simulate({"--rounds", "1"}));
  EXPECT_NE(program.wait(), 0);
  EXPECT_THAT(program.err(), HasSubstr("the bare loop ended with status 1"));
}

TEST(BenchSimulate, RefusesWhatCannotBe) {
  for (const auto& [words, code, message] :
       std::vector<std::tuple<std::vector<std::string>, int, std::string>>{
           {{"--per-round", "51"}, 2, "at most the 50 clients"},
           {{"--images", "7000"}, 4, "6000"},
           {{"--model", "resnet9"}, 2, "resnet9"},
           {{"--model", "resnet8", "--engine", "closed-form"}, 2, "BatchNorm"},
           {{"--lr", "1e30"}, 8, "diverged"}}) {
    Process program(simulate(words));
    EXPECT_EQ(program.wait(), code) << program.err();
    EXPECT_THAT(program.err(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace fedstill::tests
