#include "training/predict.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "model/cost.h"
#include "model/edit.h"
#include "model/fold.h"
#include "training/image_loader.h"

namespace fedstill {

namespace {

std::vector<int> output_nodes(const Graph& graph, std::span<const std::string> outputs) {
  std::vector<int> nodes;
  for (const std::string& output : outputs) nodes.push_back(graph.output(output));
  return nodes;
}

// The largest divisor of the block whose activations fit: images are cut at the same places then,
// whoever asks for which part of them.
std::int64_t fitting_block(const Graph& graph, std::int64_t block) {
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
  const std::int64_t most = std::max<std::int64_t>(1, kMostBytes / peak_activation_bytes(graph));
  std::int64_t part = 1;
  for (std::int64_t size = 1; size <= std::min(block, most); ++size) {
    if (block % size == 0) part = size;
  }
  return part;
}

// Made outside inference mode, so that the results may enter a loss later.
std::vector<at::Tensor> empty_results(const Graph& graph, std::span<const int> nodes,
                                      std::int64_t count, at::Device device) {
  const std::vector<SampleShape> shapes = infer_shapes(graph);
  std::vector<at::Tensor> results;
  for (const int node : nodes) {
    std::vector<std::int64_t> shape = shapes[static_cast<std::size_t>(node)];
    shape.insert(shape.begin(), count);
    results.push_back(at::empty(shape, at::TensorOptions(at::kFloat).device(device)));
  }
  return results;
}

void check_shape(const Graph& graph, const ImageShape& image) {
  if (graph.input_shape() == SampleShape{image.channels, image.height, image.width}) return;
  throw std::invalid_argument("[predict] images of " + std::to_string(image.channels) + " x " +
                              std::to_string(image.height) + " x " + std::to_string(image.width) +
                              " do not fit the input of " + graph.architecture);
}

// Each image is needed once, so a device holds those of one block at a time, as bytes.
class Blocks {
 public:
  Blocks(const ImageView& images, const LoaderOptions& options)
      : images_(images), options_(options) {
    if (options.device.is_cpu()) here_ = make_image_loader(images, options);
  }

  void load(std::int64_t begin, std::int64_t count, const at::Tensor& out) const {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), here_ ? begin : 0);
    if (here_) return here_->load(rows, /*key=*/0, /*first=*/0, out);
    const auto from = images_.indices.begin() + begin;
    const ImageView block{images_.images, {from, from + count}};
    make_resident_loader(block, options_)->load(rows, /*key=*/0, /*first=*/0, out);
  }

 private:
  const ImageView& images_;
  LoaderOptions options_;
  std::unique_ptr<ImageLoader> here_;
};

void run_in_blocks(const Graph& folded, std::span<const int> nodes, const ImageView& images,
                   const Normalisation& normalisation, const PredictOptions& options,
                   std::span<const at::Tensor> results) {
  const LoaderOptions loader_options{.normalisation = normalisation, .device = options.device};
  const std::int64_t count = images.count();
  const c10::InferenceMode inference;
  Executor executor(folded, {.trainable = false, .device = options.device});
  const Blocks blocks(images, loader_options);
  const at::Tensor buffer =
      empty_images(std::min(options.block, count), images.images->shape, loader_options);
  for (std::int64_t begin = 0; begin < count; begin += options.block) {
    const std::int64_t taken = std::min(options.block, count - begin);
    const at::Tensor block = buffer.narrow(0, 0, taken);
    blocks.load(begin, taken, block);
    const std::vector<at::Tensor> values = executor.run(block, nodes, Mode::kEval);
    for (std::size_t i = 0; i < values.size(); ++i) {
      results[i].narrow(0, begin, taken).copy_(values[i]);
    }
    if (options.on_block) options.on_block(begin + taken);
  }
}

}  // namespace

std::vector<at::Tensor> predict(const Graph& graph, std::span<const std::string> outputs,
                                const ImageView& images, const Normalisation& normalisation,
                                const PredictOptions& options) {
  if (options.block < 1) {
    throw std::invalid_argument("[predict] block is " + std::to_string(options.block) +
                                ", expected > 0");
  }
  check_shape(graph, images.images->shape);
  const Graph folded = fold_batch_norm(extract(graph, {outputs.begin(), outputs.end()}));
  const std::vector<int> nodes = output_nodes(folded, outputs);
  std::vector<at::Tensor> results = empty_results(folded, nodes, images.count(), options.device);
  PredictOptions fitting = options;
  fitting.block = fitting_block(folded, options.block);
  run_in_blocks(folded, nodes, images, normalisation, fitting, results);
  for (at::Tensor& result : results) result = result.to(at::kCPU);
  return results;
}

double accuracy(const at::Tensor& scores, std::span<const std::int32_t> labels) {
  if (scores.dim() != 2 || scores.size(0) != static_cast<std::int64_t>(labels.size())) {
    throw std::invalid_argument("[accuracy] found " + std::to_string(labels.size()) +
                                " labels for " +
                                std::to_string(scores.dim() > 0 ? scores.size(0) : 0) +
                                " rows of scores, expected [N, C] and N labels");
  }
  if (labels.empty()) return 0.0;
  const at::Tensor best = scores.detach().argmax(1).contiguous();
  const std::int64_t* guess = best.const_data_ptr<std::int64_t>();
  std::int64_t hits = 0;
  for (const std::int32_t label : labels) hits += *guess++ == label ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(labels.size());
}

}  // namespace fedstill
