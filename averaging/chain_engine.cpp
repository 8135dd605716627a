#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "averaging/engine.h"
#include "data/whole_view.h"
#include "training/chain/chain_model.h"
#include "training/fit.h"

namespace fedstill {
namespace {

struct ChainSetting {
  Graph graph;
  chain::ChainPlan plan;
  ImageView images;
  std::vector<std::int32_t> labels;
  Normalisation normalisation;
  LocalSteps steps;
};

class ChainTrainer : public ClientTrainer {
 public:
  explicit ChainTrainer(const ChainSetting& setting)
      : setting_(setting), model_(setting.plan, setting.steps.batch, setting.steps.bf16) {}

  std::span<const float> train(std::span<const float> weights, std::span<const std::int32_t> rows,
                               std::uint64_t key) override {
    if (weights.size() != model_.weights().size()) {
      throw std::invalid_argument("[averaging] found " + std::to_string(weights.size()) +
                                  " weights, expected " + std::to_string(model_.weights().size()));
    }
    std::ranges::copy(weights, model_.weights().begin());
    EpochShuffle shuffle(std::ssize(rows), setting_.steps.batch, key);
    const auto rate = static_cast<float>(setting_.steps.learning_rate);
    for (std::int64_t epoch = 0; epoch < setting_.steps.epochs; ++epoch) {
      for (std::int64_t step = 0; step < shuffle.steps(); ++step) {
        load(rows, shuffle.rows(epoch, step));
        if (step + 1 < shuffle.steps()) prefetch(rows, shuffle.rows(epoch, step + 1));
        const double loss = model_.step(labels_, rate);
        if (std::isfinite(loss)) continue;
        throw DivergedError("[averaging] step " + std::to_string(step) + ": the loss is " +
                            std::to_string(loss) + " at learning rate " +
                            std::to_string(setting_.steps.learning_rate));
      }
    }
    return model_.weights();
  }

 private:
  void load(std::span<const std::int32_t> rows, std::span<const std::int64_t> batch) {
    labels_.clear();
    for (const std::int64_t place : batch) {
      const auto row = static_cast<std::size_t>(rows[static_cast<std::size_t>(place)]);
      load_image(static_cast<std::int64_t>(row), model_.image(std::ssize(labels_)));
      labels_.push_back(setting_.labels[row]);
    }
  }

  // Images are all over memory; they come while the step before is computed.
  void prefetch(std::span<const std::int32_t> rows, std::span<const std::int64_t> batch) const {
    constexpr std::int64_t kCacheLine = 64;
    const Images& images = *setting_.images.images;
    const std::int64_t size = images.pixels_per_image();
    for (const std::int64_t place : batch) {
      const std::uint8_t* const image =
          images.pixels.data() + rows[static_cast<std::size_t>(place)] * size;
      for (std::int64_t i = 0; i < size; i += kCacheLine) __builtin_prefetch(image + i);
    }
  }

  void load_image(std::int64_t row, std::span<float> to) {
    const Normalisation& n = setting_.normalisation;
    if (n.mean.size() != 1) {
      gather(setting_.images, {&row, 1}, n, to, /*channels_last=*/true);
      return;
    }
    // One channel lies the same way in both orders; the same numbers as gather().
    const Images& images = *setting_.images.images;
    const std::int64_t size = images.pixels_per_image();
    chain::fastest_kernels().normalise(images.pixels.data() + row * size, size, 255.0F * n.mean[0],
                                       1.0F / (255.0F * n.deviation[0]), to.data());
  }

  const ChainSetting& setting_;
  chain::ChainModel model_;
  std::vector<std::int32_t> labels_;
};

class ChainEngine : public Engine {
 public:
  explicit ChainEngine(ChainSetting setting) : setting_(std::move(setting)) {}

  std::vector<float> flatten(const Graph& graph) const override {
    return chain::flatten_weights(setting_.plan, graph);
  }
  Graph unflatten(std::span<const float> weights) const override {
    return chain::unflatten_weights(setting_.plan, setting_.graph, weights);
  }
  std::unique_ptr<ClientTrainer> make_trainer() const override {
    return std::make_unique<ChainTrainer>(setting_);
  }

 private:
  ChainSetting setting_;
};

}  // namespace

std::unique_ptr<Engine> make_chain_engine(const Graph& graph, const Dataset& data,
                                          const Normalisation& normalisation,
                                          const LocalSteps& steps) {
  chain::ChainPlan plan = chain::plan_chain(graph);
  const auto classes = static_cast<std::int32_t>(plan.classes());
  for (const std::int32_t label : data.labels) {
    if (label >= 0 && label < classes) continue;
    throw std::invalid_argument("[averaging] found label " + std::to_string(label) +
                                ", expected 0 to " + std::to_string(classes - 1));
  }
  const ImageShape& shape = data.images->shape;
  if (graph.input_shape() != SampleShape{shape.channels, shape.height, shape.width}) {
    throw std::invalid_argument("[averaging] the images do not have the model's size");
  }
  return std::make_unique<ChainEngine>(
      ChainSetting{graph, std::move(plan), whole(data.images), data.labels, normalisation, steps});
}

}  // namespace fedstill
