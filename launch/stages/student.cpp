#include "launch/stages/student.h"

#include <ATen/ops/one_hot.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "data/lesson.h"
#include "distillation/distiller.h"
#include "launch/ranks/crew.h"
#include "launch/stages/accuracy.h"
#include "model/atomic_file.h"
#include "model/cost.h"
#include "model/model_file.h"
#include "model/onnx.h"
#include "model/sha256.h"
#include "training/threads.h"
#include "training/whose_fit.h"

namespace fedstill {
namespace {

DistillOptions distill_options(const Run& run) {
  const auto& d = run.job.distillation;
  DistillOptions options;
  options.student = d.student;
  if (run.lesson && run.job.round.student == "last") options.start = run.lesson->student;
  options.loss = d.loss;
  options.temperature = d.temperature;
  options.batch = d.batch;
  options.augmentation = {static_cast<int>(d.crop_padding), d.flip, static_cast<float>(d.erase)};
  options.bf16 = run.job.run.bf16;
  options.device = run.device;
  options.seed = seed_of(run.job, Stream::kStudent, static_cast<std::uint64_t>(run.round) - 1);
  options.fit.epochs = d.epochs;
  options.fit.accumulate = d.accumulate;
  options.fit.optimizer.name = d.optimizer;
  options.fit.optimizer.learning_rate = d.learning_rate;
  options.fit.optimizer.weight_decay = d.weight_decay;
  options.fit.schedule.name = d.schedule;
  options.fit.schedule.warm_up_steps = d.warm_up_steps;
  options.fit.seed = options.seed;
  options.fit.checkpoint = run.folder.file("student.checkpoint");
  options.fit.stop = &run.stop;
  if (run.crew != nullptr) run.crew->share_gradients(options.fit.parallel);
  options.fit.parallel.shared_batch_norm = run.job.ranks.batch_norm == "shared";
  options.fit.parallel.bf16 = run.job.ranks.bf16_gradients;
  return options;
}

void follow(const Run& run, DistillOptions& options) {
  options.fit.on_event = [&run, has_begun = false](const FitEvent& e) mutable {
    if (!std::exchange(has_begun, true)) {
      run.events.event("student_started", {{"step", e.step}});  // beyond 1: where it was
    }
    const std::int64_t per_step = e.step > 0 ? e.images / e.step : 0;
    run.progress.advance(0, e.step * per_step);
    if (!e.end_of_epoch) return;
    run.events.metric("student", "student", e.epoch, e.step, e.loss,
                      e.seconds > 0.0 ? static_cast<double>(e.images) / e.seconds : 0.0, run.round);
  };
}

at::Tensor targets(const Run& run, const Material& material, const Teaching& teaching) {
  if (run.job.distillation.targets == "ensemble") return teaching.pool.labels;
  const at::Tensor labels = to_tensor(material.pool_labels.labels);
  return at::one_hot(labels, material.classes()).to(at::kFloat);
}

Student distilled(const Run& run, const Material& material, const Teaching& teaching) {
  DistillOptions options = distill_options(run);
  follow(run, options);
  set_thread_count(static_cast<int>(run.job.run.threads));
  const at::Tensor labels = targets(run, material, teaching);
  if (run.crew != nullptr) run.crew->begin_distilling(run, labels);
  Distilled result = whose_fit("the student (" + run.job.distillation.student + ")", [&] {
    return distill(material.pool, labels, material.normalisation, options);
  });
  if (!result.report.refusal.empty()) {
    run.progress.message("the student's steps were not recorded: " + result.report.refusal);
  }
  Student student{std::move(result.student), {}};
  StudentRecord& record = student.record;
  record.architecture = run.job.distillation.student;
  record.parameters = total_cost(student.graph).parameters;
  record.seconds = result.report.seconds;
  record.losses = result.report.epoch_losses;
  return student;
}

// Validation is what a recipe may be chosen by; the test figure is only reported.
void measure(StudentRecord& record, const Graph& graph, const Run& run, const Material& material) {
  const Shard validation = make_shard(material.data.train, material.split.validation);
  if (validation.images.count() > 0) {
    record.validation_accuracy = accuracy_on(graph, validation, run, material);
  }
  record.test_accuracy =
      accuracy_on(graph, {material.test, material.test_labels.labels}, run, material);
}

void save(const Run& run, const Student& student) {
  write_file_atomically(run.folder.file("student.onnx"), encode_onnx(student.graph));
  write_model(run.folder.file("student.safetensors"), student.graph);
  run.folder.remember("student", to_json(student.record));
  std::error_code ignored;
  std::filesystem::remove(run.folder.file("student.checkpoint"), ignored);
}

StudentRecord student_record(const nlohmann::json& saved) {
  return {saved.at("architecture"),        saved.at("sha256"),        saved.at("parameters"),
          saved.at("validation_accuracy"), saved.at("test_accuracy"), saved.at("seconds"),
          saved.at("loss_curve")};
}

}  // namespace

nlohmann::json to_json(const StudentRecord& r) {
  return {{"architecture", r.architecture},
          {"sha256", r.sha256},
          {"parameters", r.parameters},
          {"validation_accuracy", r.validation_accuracy},
          {"test_accuracy", r.test_accuracy},
          {"seconds", r.seconds},
          {"loss_curve", r.losses}};
}

void help_distill(const Run& run, const Material& material, const at::Tensor& targets) {
  set_thread_count(static_cast<int>(run.job.run.threads));
  distill(material.pool, targets, material.normalisation, distill_options(run));
}

Student make_student(const Run& run, const Material& material, const Teaching& teaching) {
  const auto& d = run.job.distillation;
  const std::int64_t steps = std::max<std::int64_t>(1, material.pool.images.count() / d.batch);
  run.progress.begin_stage("distilling", {{"student", d.student, d.epochs * steps * d.batch}});
  Student student;
  const bool saved = run.folder.recall(
      "student", [&](const nlohmann::json& state) { student.record = student_record(state); });
  if (saved) {
    check_recorded(run.folder.file("student.safetensors"), student.record.sha256);
    student.graph = read_model(run.folder.file("student.safetensors"));
  } else {
    student = distilled(run, material, teaching);
    measure(student.record, student.graph, run, material);
    student.record.sha256 = model_hash(student.graph);
    save(run, student);
  }
  char result[96];
  std::snprintf(result, sizeof(result), "%s: %.2f %% of the test images right", d.student.c_str(),
                100.0 * student.record.test_accuracy);
  run.progress.end_stage(result);
  run.events.event("student", {{"sha256", student.record.sha256},
                               {"test_accuracy", student.record.test_accuracy}});
  return student;
}

}  // namespace fedstill
