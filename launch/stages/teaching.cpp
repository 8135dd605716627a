#include "launch/stages/teaching.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "launch/stages/clients.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

RuleOptions rule_options(const Job::Aggregation& a) {
  return {a.temperature, a.softmax_temperature, a.entropy_scale, a.ratio_clip, a.share_cap};
}

// Both passes are one stage to a user: the bar of a client runs over pool and test images.
class Passes {
 public:
  Passes(const Run& run, const Material& material, const std::vector<Teacher>& teachers)
      : run_(run), material_(material), teachers_(teachers) {
    std::vector<Progress::Task> tasks;
    for (std::size_t i = 0; i < teachers.size(); ++i) {
      tasks.push_back({client_name(i, teachers.size()), "", total()});
    }
    run.progress.begin_stage("asking " + std::to_string(teachers.size()) + " teachers",
                             std::move(tasks));
  }

  PredictionCache pool() {
    return pass(material_.pool.images, material_.pool.hash(), "pool.predictions", 0);
  }
  PredictionCache test() {
    return pass(material_.test, UnlabeledPool{material_.test}.hash(), "test.predictions",
                material_.pool.images.count());
  }

 private:
  std::int64_t total() const { return material_.pool.images.count() + material_.test.count(); }

  PredictionCache pass(const ImageView& images, const std::string& hash, const char* name,
                       std::int64_t before) {
    TeacherPassOptions options;
    options.workers = static_cast<int>(run_.job.run.workers);
    options.stop = &run_.stop;
    options.on_progress = [this, before](std::int64_t client, std::int64_t done) {
      run_.progress.advance(static_cast<std::size_t>(client), before + done);
    };
    options.on_warning = [this](std::int64_t client, const std::string& what) {
      run_.events.event("warning", {{"client", client}, {"what", what}});
      run_.progress.message("warning: " + what);
    };
    return teacher_pass(teachers_, images, hash, material_.classes(), material_.normalisation,
                        run_.folder.file("cache") / name, options);
  }

  const Run& run_;
  const Material& material_;
  const std::vector<Teacher>& teachers_;
};

double client_accuracy(const PredictionCache& cache, std::int64_t client,
                       std::span<const std::int32_t> labels) {
  const auto logits = cache.logits(client);
  const at::Tensor view =
      at::from_blob(const_cast<float*>(logits.data()), {cache.key().samples, cache.key().classes});
  return accuracy(view, labels);
}

void measure_rules(const Run& run, const Material& material, const PredictionCache& test,
                   const ClientFacts& facts, Teaching& out) {
  const auto options = rule_options(run.job.aggregation);
  for (const auto name : rule_names()) {
    const SoftLabels labels = combine(*make_rule(name, options), test, facts);
    out.rules[std::string(name)] = accuracy(labels.labels, material.test_labels.labels);
  }
  out.test_accuracy = out.rules.at(run.job.aggregation.rule);
  for (std::int64_t k = 0; k < test.clients(); ++k) {
    out.client_accuracy.push_back(client_accuracy(test, k, material.test_labels.labels));
  }
}

}  // namespace

Teaching teach(const Run& run, const Material& material, const std::vector<Teacher>& teachers) {
  const c10::NoGradGuard no_gradients_here;
  Passes passes(run, material, teachers);
  const PredictionCache pool = passes.pool();
  const PredictionCache test = passes.test();
  set_thread_count(static_cast<int>(run.job.run.threads));
  const ClientFacts facts = measure_clients(pool);
  const auto rule = make_rule(run.job.aggregation.rule, rule_options(run.job.aggregation));
  Teaching out;
  out.foreign_pool = facts.foreign_pool();
  out.pool = combine(*rule, pool, facts);
  out.pool_accuracy = accuracy(out.pool.labels, material.pool_labels.labels);
  out.trust = trust_report(out.pool);
  measure_rules(run, material, test, facts, out);
  if (out.foreign_pool) {
    run.progress.message(
        "warning: no client recognises the pool; its images may be of another kind");
  }
  char result[96];
  std::snprintf(result, sizeof(result), "%s: %.1f %% of the test images right",
                run.job.aggregation.rule.c_str(), 100.0 * out.test_accuracy);
  run.progress.end_stage(result);
  run.events.event("soft_labels", {{"rule", run.job.aggregation.rule},
                                   {"pool_accuracy", out.pool_accuracy},
                                   {"test_accuracy", out.test_accuracy}});
  return out;
}

}  // namespace fedstill
