#include "launch/bench/distill_speed.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "collective/local/local.h"
#include "data/whole_view.h"
#include "distillation/distiller.h"
#include "model/random.h"
#include "model/zoo.h"
#include "training/device.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr std::int64_t kClasses = 10;
const Normalisation kNormalisation{{0.5F}, {0.25F}};

ImageView random_images(std::int64_t count) {
  auto images = std::make_shared<Images>();
  images->pixels.resize(static_cast<std::size_t>(count * images->pixels_per_image()));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_bits(1, i));
  }
  return whole(std::move(images));
}

at::Tensor random_labels(std::int64_t count) {
  at::Tensor logits = at::empty({count, kClasses}, at::kFloat);
  fill_normal({logits.mutable_data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, 2,
              2.0F);
  return at::softmax(logits, 1);
}

}  // namespace

double distill_speed(const DistillWork& work, Collective* group, const std::atomic<bool>& stop) {
  using Clock = std::chrono::steady_clock;
  set_thread_count(1);
  DistillOptions options;
  options.student = work.student;
  options.batch = work.batch;
  options.device = work.device;
  options.bf16 = work.bf16;
  options.fit.epochs = work.epochs;
  options.fit.record = work.record;
  options.fit.stop = &stop;
  options.fit.parallel.group = group;
  options.fit.parallel.wire = work.device;
  options.fit.parallel.even_alone = true;
  options.fit.parallel.overlap = work.overlap;
  std::map<std::int64_t, Clock::time_point> ends;
  std::int64_t steps = 0;
  options.fit.on_event = [&](const FitEvent& event) {
    if (event.end_of_epoch) ends[event.epoch] = Clock::now();
    steps = event.steps / event.epochs;
  };
  const Distilled made =
      distill({random_images(work.images)}, random_labels(work.images), kNormalisation, options);
  if (!made.report.refusal.empty()) throw DeviceError(made.report.refusal);
  const std::int64_t measured = work.epochs - 1;
  const std::chrono::duration<double> spent = ends.at(measured) - ends.at(0);
  return static_cast<double>(measured * steps * std::min(options.batch, work.images)) /
         spent.count();
}

double predict_speed(const DistillWork& work) {
  const Graph graph = make_model(work.student, {}, kClasses, 1);
  const ImageView images = random_images(work.images);
  const std::vector<std::string> outputs{"logits"};
  const auto ask = [&] {
    predict(graph, outputs, images, kNormalisation, {.device = work.device});
  };
  ask();
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t pass = 1; pass < work.epochs; ++pass) ask();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  return static_cast<double>((work.epochs - 1) * work.images) / spent.count();
}

double distill_speed_of_threads(const DistillWork& work, int ranks, const std::atomic<bool>& stop) {
  double speed = 0.0;
  local::run_ranks(ranks, [&](Collective& group) {
    const double found = distill_speed(work, ranks == 1 ? nullptr : &group, stop);
    if (group.rank() == 0) speed = found;
  });
  return speed;
}

double distill_speed_apart(const DistillWork& work, int ranks, const std::atomic<bool>& stop) {
  DistillWork part = work;
  part.batch = std::max<std::int64_t>(1, work.batch / ranks);
  double sum = 0.0;
  std::mutex mutex;
  local::run_ranks(ranks, [&](Collective& group) {
    group.barrier().wait();
    const double found = distill_speed(part, nullptr, stop);
    const std::lock_guard lock(mutex);
    sum += found;
  });
  return sum;
}

}  // namespace fedstill
