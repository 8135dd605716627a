#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/launch/process.h"

namespace fedstill::tests {

// A whole job in a second or two: three clients of three architectures on synthetic images.
inline std::vector<std::string> small_job(const std::filesystem::path& run,
                                          const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"simulate", "--run", run.string()};
  for (const char* setting :
       {"data.source=synthetic:4x1x16x16", "data.private=600", "data.pool=400",
        "data.validation=100", "clients.count=3", "clients.models=mlp,lenet5,cnn3",
        "clients.alpha=0.5", "clients.minimum=40", "clients.epochs=3", "clients.min_steps=30",
        "clients.batch=32", "clients.warm_up_steps=5", "head.steps=40", "head.batch=32",
        "distillation.epochs=4", "distillation.batch=50", "compression.images=128", "run.threads=1",
        "compression.minimum_agreement=0.6"}) {
    words.insert(words.end(), {"--set", setting});
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The student's epochs take long, so that a signal comes within one.
constexpr std::int64_t kLongEpoch = 100;  // steps
inline std::vector<std::string> long_epochs() {
  return {"--set", "data.pool=200",        "--set", "distillation.batch=2",
          "--set", "distillation.epochs=2"};
}

// What a command that must succeed prints with --json.
inline nlohmann::json run_json(const std::vector<std::string>& arguments) {
  const Finished done = run_program(arguments);
  EXPECT_EQ(done.code, 0) << done.err;
  return nlohmann::json::parse(done.out);
}

inline std::int64_t steps_of(const std::filesystem::path& checkpoint) {
  return run_json({"inspect", checkpoint.string(), "--json"}).at("steps_done");
}

inline nlohmann::json report_of(const std::filesystem::path& run) {
  return nlohmann::json::parse(text_of(run / "report.json"));
}

inline std::string student_of(const std::filesystem::path& run) {
  return report_of(run).at("student").at("sha256");
}

// Tests compare with one uninterrupted run. It is made when the first one asks for it and kept for
// all suites with the same settings, so nobody may change it.
class Pipeline : public ::testing::Test {
 public:
  static void SetUpTestSuite() { folder_ = std::make_unique<TempFolder>(); }
  static void TearDownTestSuite() { folder_.reset(); }

 protected:
  static std::filesystem::path reference() { return made().folder / "reference"; }
  static const Finished& reference_result() { return made().result; }
  static std::filesystem::path fresh(const std::string& name) { return *folder_ / name; }
  // Beside those of the small job: for a suite that sets them before SetUpTestSuite().
  static inline std::vector<std::string> settings_;

 private:
  struct Made {
    TempFolder folder;
    Finished result;
  };
  static const Made& made() {
    static std::map<std::vector<std::string>, Made> all;
    const auto [place, is_new] = all.try_emplace(settings_);
    Made& one = place->second;
    if (!is_new) return one;
    std::vector<std::string> more{"--workers", "1", "--json"};
    more.insert(more.end(), settings_.begin(), settings_.end());
    one.result = run_program(small_job(one.folder / "reference", more));
    EXPECT_EQ(one.result.code, 0) << one.result.err;
    return one;
  }

  static inline std::unique_ptr<TempFolder> folder_;
};

}  // namespace fedstill::tests
