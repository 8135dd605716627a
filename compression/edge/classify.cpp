#include "compression/edge/classify.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "compression/edge/code_arithmetic.h"
#include "compression/edge/interpreter.h"

namespace fedstill {
namespace {

constexpr std::int64_t kBlock = 64;  // images a thread takes at a time

using RunImage = std::function<std::span<const float>(Interpreter& interpreter, std::int64_t i)>;

// Hands out blocks of images to threads and keeps the first exception.
class Crew {
 public:
  Crew(const QuantizedGraph& graph, std::int64_t count, const RunImage& run,
       const ClassifyOptions& options)
      : graph_(graph), count_(count), run_(run), options_(options) {
    const std::vector<SampleShape> shapes = infer_shapes(graph.graph);
    classes_ = static_cast<std::size_t>(
        element_count(shapes[static_cast<std::size_t>(graph.graph.output("logits"))]));
    logits_.resize(static_cast<std::size_t>(count) * classes_);
  }

  std::vector<float> work() {
    const std::int64_t useful = std::clamp<std::int64_t>(options_.threads, 1, count_ / kBlock + 1);
    std::vector<std::jthread> helpers;
    for (std::int64_t i = 1; i < useful; ++i) helpers.emplace_back([this] { guarded_work(); });
    guarded_work();
    helpers.clear();
    if (error_) std::rethrow_exception(error_);
    return std::move(logits_);
  }

 private:
  void guarded_work() noexcept {
    try {
      Interpreter interpreter(graph_);
      while (one_block(interpreter)) {
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_ = count_;
    }
  }

  bool one_block(Interpreter& interpreter) {
    const std::int64_t first = next_.fetch_add(kBlock);
    const std::int64_t last = std::min(first + kBlock, count_);
    if (first >= last) return false;
    for (std::int64_t i = first; i < last; ++i) {
      std::ranges::copy(run_(interpreter, i),
                        logits_.begin() + i * static_cast<std::int64_t>(classes_));
    }
    if (!options_.on_block) return true;
    const std::lock_guard lock(mutex_);
    options_.on_block(done_ += last - first);
    return true;
  }

  const QuantizedGraph& graph_;
  std::int64_t count_, done_ = 0;
  const RunImage& run_;
  const ClassifyOptions& options_;
  std::size_t classes_ = 0;
  std::vector<float> logits_;
  std::atomic<std::int64_t> next_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

// 256 pixels have 256 codes: one table per channel instead of arithmetic per pixel.
std::vector<std::array<std::uint8_t, 256>> pixel_tables(const QuantizedGraph& graph,
                                                        const PixelScaling& scaling) {
  const SampleShape& shape = graph.graph.input_shape();
  const std::size_t channels = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  if (scaling.mean.size() != channels || scaling.deviation.size() != channels) {
    throw std::invalid_argument("[classify] normalisation has " +
                                std::to_string(scaling.mean.size()) + " channels, expected " +
                                std::to_string(channels));
  }
  std::vector<std::array<std::uint8_t, 256>> tables(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t pixel = 0; pixel < 256; ++pixel) {
      const float real =
          (static_cast<float>(pixel) / 255.0F - scaling.mean[c]) / scaling.deviation[c];
      tables[c][pixel] = nearest_code(real, graph.activations[0]);
    }
  }
  return tables;
}

}  // namespace

std::vector<float> evaluate(const QuantizedGraph& graph, std::int64_t count,
                            const PixelSource& images, const PixelScaling& scaling,
                            const ClassifyOptions& options) {
  validate(graph);
  const auto tables = pixel_tables(graph, scaling);
  const auto size = static_cast<std::size_t>(element_count(graph.graph.input_shape()));
  const std::size_t plane = size / tables.size();
  const RunImage run = [&](Interpreter& interpreter, std::int64_t i) {
    const std::span<const std::uint8_t> pixels = images(i);
    if (pixels.size() != size) {
      throw std::invalid_argument("[classify] image " + std::to_string(i) + " has " +
                                  std::to_string(pixels.size()) + " pixels, expected " +
                                  std::to_string(size));
    }
    thread_local std::vector<std::uint8_t> codes;
    codes.resize(size);
    for (std::size_t p = 0; p < size; ++p) codes[p] = tables[p / plane][pixels[p]];
    return interpreter.run_codes(codes);
  };
  return Crew(graph, count, run, options).work();
}

std::vector<float> evaluate(const QuantizedGraph& graph, std::span<const float> images,
                            const ClassifyOptions& options) {
  validate(graph);
  const auto size = static_cast<std::size_t>(element_count(graph.graph.input_shape()));
  if (images.size() % size != 0) {
    throw std::invalid_argument("[classify] " + std::to_string(images.size()) +
                                " values are no whole number of images of " + std::to_string(size));
  }
  const RunImage run = [&](Interpreter& interpreter, std::int64_t i) {
    return interpreter.run(images.subspan(static_cast<std::size_t>(i) * size, size));
  };
  return Crew(graph, static_cast<std::int64_t>(images.size() / size), run, options).work();
}

std::vector<int> top_classes(std::span<const float> logits, std::int64_t count) {
  std::vector<int> classes;
  const std::size_t width = count > 0 ? logits.size() / static_cast<std::size_t>(count) : 0;
  for (std::size_t first = 0; width > 0 && first < logits.size(); first += width) {
    const auto row = logits.subspan(first, width);
    classes.push_back(static_cast<int>(std::ranges::max_element(row) - row.begin()));
  }
  return classes;
}

std::vector<int> classify(const QuantizedGraph& graph, std::int64_t count,
                          const PixelSource& images, const PixelScaling& scaling,
                          const ClassifyOptions& options) {
  return top_classes(evaluate(graph, count, images, scaling, options), count);
}

std::vector<int> classify(const QuantizedGraph& graph, std::span<const float> images,
                          const ClassifyOptions& options) {
  const std::vector<float> logits = evaluate(graph, images, options);
  const std::int64_t size = element_count(graph.graph.input_shape());
  return top_classes(logits, static_cast<std::int64_t>(images.size()) / size);
}

}  // namespace fedstill
