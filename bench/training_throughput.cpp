// Images per second of the fit loop and of prediction, on random images.
//   fedstill_bench_training [--threads 1] [--repetitions 5] [--case train-cnn3-128] [--bf16]
// One line per case and repetition: name, images per second of wall time, images per CPU second.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <string>

#include "data/whole_view.h"
#include "model/random.h"
#include "model/zoo.h"
#include "tests/support/clock.h"
#include "training/losses.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr std::int64_t kClasses = 10;
const Normalisation kNormalisation{{0.286F}, {0.353F}};

ImageView random_images(std::int64_t count) {
  auto images = std::make_shared<Images>();
  images->pixels.resize(static_cast<std::size_t>(count * images->pixels_per_image()));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_bits(1, i));
  }
  return whole(std::move(images));
}

// Runs work() once to warm up and once to measure; it returns the images it handled.
template <typename Work>
void report(const char* name, const Work& work) {
  work();
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  const auto images = static_cast<double>(work());
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  std::cout << name << ' ' << images / wall.count() << ' ' << images / (cpu_seconds() - cpu)
            << std::endl;
}

void train(const char* name, const char* architecture, std::int64_t batch, bool bf16,
           const ImageView& images) {
  std::vector<std::int32_t> labels(images.indices.size());
  for (std::size_t i = 0; i < labels.size(); ++i)
    labels[i] = static_cast<std::int32_t>(i % kClasses);
  Executor executor(make_model(architecture, {}, kClasses, 1), {.bf16 = bf16});
  const auto batches =
      make_batches(images, to_tensor(labels), {.batch = batch, .normalisation = kNormalisation});
  const int logits = executor.graph().output("logits");
  report(name, [&] {
    return fit(executor, std::span(&logits, 1), *batches, cross_entropy(), {.epochs = 1}).images;
  });
}

void infer(const char* name, const char* architecture, const ImageView& images) {
  const Graph graph = make_model(architecture, {}, kClasses, 1);
  const std::string output = "logits";
  report(name, [&] {
    predict(graph, std::span(&output, 1), images, kNormalisation);
    return images.count();
  });
}

int measure(int argc, char** argv) {
  int threads = 1, repetitions = 5;
  bool bf16 = false;
  std::string only;
  CLI::App app("Images per second of training and of inference; compare_training.sh has PyTorch's");
  app.option_defaults()->always_capture_default();
  app.add_option("--threads", threads);
  app.add_option("--repetitions", repetitions);
  app.add_flag("--bf16", bf16);
  app.add_option("--case", only, "this one alone");
  CLI11_PARSE(app, argc, argv);
  tune_allocator();
  set_thread_count(threads);
  const ImageView images = random_images(2048);
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  for (int i = 0; i < repetitions; ++i) {
    if (wanted("train-cnn3-128")) train("train-cnn3-128", "cnn3", 128, bf16, images);
    if (wanted("train-lenet5-64")) train("train-lenet5-64", "lenet5", 64, bf16, images);
    if (wanted("infer-cnn3")) infer("infer-cnn3", "cnn3", images);
    if (wanted("infer-resnet8")) infer("infer-resnet8", "resnet8", images);
  }
  return 0;
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) { return fedstill::measure(argc, argv); }
