#include "launch/report_warnings.h"

#include <algorithm>
#include <cstdio>

#include "launch/counted.h"
#include "launch/progress.h"

namespace fedstill {
namespace {

// Of the default job there are 1,170; with so few nothing was ever learned.
constexpr std::int64_t kFewSteps = 300;

std::int64_t steps_of(const Job::Distillation& d, std::int64_t pool_images) {
  const std::int64_t batches = std::max<std::int64_t>(1, pool_images / d.batch);
  return d.epochs * std::max<std::int64_t>(1, batches / d.accumulate);
}

// It learned less than half of what it was taught, beyond guessing.
bool lags(const ResultFacts& facts) {
  const double chance = 1.0 / static_cast<double>(std::max<std::int64_t>(1, facts.classes));
  return facts.ensemble_accuracy &&
         facts.student_accuracy - chance < 0.5 * (*facts.ensemble_accuracy - chance);
}

std::string student_warning(const Job::Distillation& d, const ResultFacts& facts,
                            std::int64_t steps) {
  char right[96];
  std::snprintf(right, sizeof(right), "the student is right on %.1f %% (the ensemble on %.1f %%)",
                100.0 * facts.student_accuracy, 100.0 * *facts.ensemble_accuracy);
  std::string out = std::string(right) + ": it saw only " + counted(steps, "step") + " of training";
  if (d.warm_up_steps >= steps) {
    out += ", all of them within distillation.warm_up_steps = " + grouped(d.warm_up_steps);
  }
  return out +
         "; more distillation.epochs, a smaller distillation.batch or a larger data.pool make more";
}

}  // namespace

std::string foreign_pool_warning(const std::string& rule) {
  const bool asks = rule == "bounded-odds" || rule.starts_with("dlad-");
  if (!asks) return "";
  const char* const so = rule == "bounded-odds" ? "so all clients weigh alike, as in mean-prob"
                                                : "so the weights say little";
  return std::string("no client recognises the pool, ") + so +
         ": its images are of another kind than the clients', or the heads learned a small pool by "
         "heart; fewer head.steps or a larger data.pool help against that";
}

std::vector<std::string> result_warnings(const Job& job, const ResultFacts& facts) {
  std::vector<std::string> out;
  if (facts.foreign_pool) {
    if (auto warning = foreign_pool_warning(job.aggregation.rule); !warning.empty()) {
      out.push_back(std::move(warning));
    }
  }
  const std::int64_t steps = steps_of(job.distillation, facts.pool_images);
  if (steps < kFewSteps && lags(facts)) {
    out.push_back(student_warning(job.distillation, facts, steps));
  }
  return out;
}

}  // namespace fedstill
