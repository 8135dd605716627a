#include "launch/stages/teaching.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "launch/counted.h"
#include "launch/ranks/crew.h"
#include "launch/report_warnings.h"
#include "launch/stages/clients.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

RuleOptions rule_options(const Job::Aggregation& a) {
  return {a.temperature, a.softmax_temperature, a.entropy_scale, a.ratio_clip, a.share_cap};
}

// Those of the teachers that can be asked about any image, and who they are among all.
struct Models {
  std::vector<Teacher> teachers;
  std::vector<std::int64_t> clients;
};

Models models_of(const std::vector<Teacher>& teachers) {
  Models out;
  for (std::size_t k = 0; k < teachers.size(); ++k) {
    if (teachers[k].predictions) continue;
    out.teachers.push_back(teachers[k]);
    out.clients.push_back(static_cast<std::int64_t>(k));
  }
  return out;
}

// Both passes are one stage to a user: the bar of a client runs over pool and test images.
class Passes {
 public:
  Passes(const Run& run, const Material& material, const std::vector<Teacher>& teachers)
      : run_(run), material_(material) {
    const std::int64_t pool = material.pool.images.count();
    std::vector<Progress::Task> tasks;
    for (std::size_t i = 0; i < teachers.size(); ++i) {
      const std::int64_t test = teachers[i].predictions ? 0 : material.test.count();
      tasks.push_back({client_name(i, teachers.size()), "", pool + test});
    }
    const bool shared = run.crew != nullptr && run.crew->size() > 1;
    run.progress.begin_stage("asking " + counted(std::ssize(teachers), "teacher") +
                                 (shared ? ", this rank's share" : ""),
                             std::move(tasks));
  }

  PredictionCache pool(const std::vector<Teacher>& teachers) {
    return pass(teachers, false, [this](std::int64_t k, std::int64_t done) { advance(k, done); });
  }
  PredictionCache test(const Models& models) {
    const std::int64_t before = material_.pool.images.count();
    return pass(models.teachers, true, [this, before, &models](std::int64_t k, std::int64_t done) {
      advance(models.clients[static_cast<std::size_t>(k)], before + done);
    });
  }

 private:
  void advance(std::int64_t client, std::int64_t done) {
    run_.progress.advance(static_cast<std::size_t>(client), done);
  }

  PredictionCache pass(const std::vector<Teacher>& teachers, bool test_images,
                       std::function<void(std::int64_t, std::int64_t)> on_progress) {
    TeacherPassOptions options;
    options.workers = workers_of(run_);
    options.device = run_.device;
    options.stop = &run_.stop;
    options.on_progress = std::move(on_progress);
    options.on_warning = [this](std::int64_t client, const std::string& what) {
      run_.events.event("warning", {{"client", client}, {"what", what}});
      run_.progress.message("warning: " + what);
    };
    const UnlabeledPool images = test_images ? UnlabeledPool{material_.test} : material_.pool;
    const auto cache =
        run_.folder.file("cache") / (test_images ? "test.predictions" : "pool.predictions");
    if (run_.crew != nullptr) {
      return run_.crew->ask(run_, material_, test_images, images.hash(), teachers, options, cache);
    }
    return teacher_pass(teachers, images.images, images.hash(), material_.classes(),
                        material_.normalisation, cache, options);
  }

  const Run& run_;
  const Material& material_;
};

double client_accuracy(const PredictionCache& cache, std::int64_t client,
                       std::span<const std::int32_t> labels) {
  const auto logits = cache.logits(client);
  const at::Tensor view =
      at::from_blob(const_cast<float*>(logits.data()), {cache.key().samples, cache.key().classes});
  return accuracy(view, labels);
}

void measure_rules(const Run& run, const Material& material, const Models& models,
                   const PredictionCache& test, const ClientFacts& facts, Teaching& out) {
  const auto options = rule_options(run.job.aggregation);
  const std::vector<std::int32_t>& truth = material.test_labels.labels;
  for (const auto name : rule_names()) {
    const SoftLabels labels = combine(*make_rule(name, options), test, facts);
    out.rules[std::string(name)] = accuracy(labels.labels, truth);
  }
  out.test_accuracy = out.rules.at(run.job.aggregation.rule);
  for (std::size_t i = 0; i < models.clients.size(); ++i) {
    out.client_accuracy[static_cast<std::size_t>(models.clients[i])] =
        client_accuracy(test, static_cast<std::int64_t>(i), truth);
  }
}

void tell(const Run& run, const Teaching& teaching) {
  const std::string& rule = run.job.aggregation.rule;
  const std::string warning = teaching.foreign_pool ? foreign_pool_warning(rule) : "";
  if (!warning.empty()) run.progress.message("warning: " + warning);
  char result[96];
  std::snprintf(result, sizeof(result), "%s: %.1f %% of the %s images right", rule.c_str(),
                100.0 * teaching.test_accuracy.value_or(teaching.pool_accuracy),
                teaching.test_accuracy ? "test" : "pool");
  run.progress.end_stage(result);
  nlohmann::json event{{"rule", rule}, {"pool_accuracy", teaching.pool_accuracy}};
  if (teaching.test_accuracy) event["test_accuracy"] = *teaching.test_accuracy;
  run.events.event("soft_labels", event);
}

}  // namespace

Teaching teach(const Run& run, const Material& material, const std::vector<Teacher>& teachers) {
  const c10::NoGradGuard no_gradients_here;
  const Models models = models_of(teachers);
  Passes passes(run, material, teachers);
  const PredictionCache pool = passes.pool(teachers);
  std::optional<PredictionCache> test;
  if (!models.teachers.empty()) test.emplace(passes.test(models));
  set_thread_count(static_cast<int>(run.job.run.threads));
  const ClientFacts facts = measure_clients(pool);
  const auto rule = make_rule(run.job.aggregation.rule, rule_options(run.job.aggregation));
  Teaching out;
  out.foreign_pool = facts.foreign_pool();
  out.pool = combine(*rule, pool, facts);
  out.pool_accuracy = accuracy(out.pool.labels, material.pool_labels.labels);
  out.trust = trust_report(out.pool);
  out.client_accuracy.resize(teachers.size());
  if (test) measure_rules(run, material, models, *test, facts.of(models.clients), out);
  tell(run, out);
  return out;
}

}  // namespace fedstill
