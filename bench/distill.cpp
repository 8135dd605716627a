// Images per second of data-parallel distillation, on random images with random soft labels; the
// batch is that of all ranks together.
//   fedstill_bench_distill [--ranks 2] [--student resnet8] [--batch 128] [--after] [--bf16]
//   mpirun -np 2 fedstill_bench_distill --mpi …
// One thread a rank; --after reduces gradients after backward instead of beside it. Prints one
// line: backend, ranks, "overlap" or "after", images per second of the second of two epochs.
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>

#include <chrono>
#include <iostream>
#include <map>
#include <numeric>
#include <string>

#include "collective/local/local.h"
#include "collective/mpi/mpi.h"
#include "distillation/distiller.h"
#include "model/random.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr std::int64_t kImages = 6144, kClasses = 10;

ImageView random_images() {
  auto images = std::make_shared<Images>();
  images->pixels.resize(static_cast<std::size_t>(kImages * images->pixels_per_image()));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_bits(1, i));
  }
  ImageView view{std::move(images), std::vector<std::int64_t>(kImages)};
  std::iota(view.indices.begin(), view.indices.end(), 0);
  return view;
}

at::Tensor random_labels() {
  at::Tensor logits = at::empty({kImages, kClasses}, at::kFloat);
  fill_normal({logits.mutable_data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, 2,
              2.0F);
  return at::softmax(logits, 1);
}

struct Settings {
  DistillOptions options;
  bool mpi = false;
  int ranks = 1;
};

Settings parse(int count, char** words) {
  Settings out;
  out.options.student = "resnet8";
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--mpi") out.mpi = true;
    if (word == "--after") out.options.fit.parallel.overlap = false;
    if (word == "--bf16") out.options.fit.parallel.bf16 = true;
    if (i + 1 == count) continue;
    if (word == "--ranks") out.ranks = std::stoi(words[i + 1]);
    if (word == "--batch") out.options.batch = std::stoi(words[i + 1]);
    if (word == "--student") out.options.student = words[i + 1];
  }
  out.options.fit.epochs = 2;
  return out;
}

// Of one rank: images per second of the whole group in the second epoch.
double measure(DistillOptions options, Collective* group) {
  using Clock = std::chrono::steady_clock;
  set_thread_count(1);
  options.fit.parallel.group = group;
  std::map<std::int64_t, Clock::time_point> ends;
  std::int64_t steps = 0;
  options.fit.on_event = [&](const FitEvent& event) {
    if (event.end_of_epoch) ends[event.epoch] = Clock::now();
    steps = event.steps / event.epochs;
  };
  distill({random_images()}, random_labels(), {{0.5F}, {0.25F}}, options);
  const std::chrono::duration<double> second = ends.at(1) - ends.at(0);
  return static_cast<double>(steps * options.batch) / second.count();
}

void print(const Settings& settings, const char* backend, int ranks, double speed) {
  std::cout << backend << ' ' << ranks << ' '
            << (settings.options.fit.parallel.overlap ? "overlap" : "after") << ' ' << speed
            << std::endl;
}

void run(const Settings& settings) {
  tune_allocator();
  if (settings.mpi) {
    mpi::Session session;
    const auto group = mpi::make(session);
    const double speed = measure(settings.options, group.get());
    if (session.rank() == 0) print(settings, "mpi", session.size(), speed);
    return;
  }
  local::run_ranks(settings.ranks, [&](Collective& group) {
    const double speed = measure(settings.options, settings.ranks == 1 ? nullptr : &group);
    if (group.rank() == 0) print(settings, "local", settings.ranks, speed);
  });
}

}  // namespace
}  // namespace fedstill

int main(int count, char** words) { fedstill::run(fedstill::parse(count, words)); }
