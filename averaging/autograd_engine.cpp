#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

#include "averaging/engine.h"
#include "training/executor.h"
#include "training/fit.h"
#include "training/losses.h"
#include "training/threads.h"

namespace fedstill {
namespace {

// The values as the executor stores them, one parameter after the other.
std::vector<float> values_of(Executor& executor) {
  std::vector<float> flat;
  for (const auto& parameter : executor.parameters()) {
    const float* const values = parameter.value.const_data_ptr<float>();
    flat.insert(flat.end(), values, values + parameter.value.numel());
  }
  return flat;
}

void check_size(std::span<const float> flat, std::size_t expected) {
  if (flat.size() == expected) return;
  throw std::invalid_argument("[averaging] found " + std::to_string(flat.size()) +
                              " weights, expected " + std::to_string(expected));
}

std::size_t size_of(Executor& executor) {
  std::int64_t size = 0;
  for (const auto& parameter : executor.parameters()) size += parameter.value.numel();
  return static_cast<std::size_t>(size);
}

void load(Executor& executor, std::span<const float> flat) {
  check_size(flat, size_of(executor));
  for (auto& parameter : executor.parameters()) {
    const auto size = static_cast<std::size_t>(parameter.value.numel());
    std::memcpy(parameter.value.mutable_data_ptr<float>(), flat.data(), size * sizeof(float));
    flat = flat.subspan(size);
  }
}

struct AutogradSetting {
  Graph graph;
  Dataset data;
  Normalisation normalisation;
  LocalSteps steps;
};

class AutogradTrainer : public ClientTrainer {
 public:
  explicit AutogradTrainer(const AutogradSetting& setting)
      : setting_(setting),
        executor_(setting.graph, {.bf16 = setting.steps.bf16}),
        logits_{setting.graph.output("logits")} {
    set_thread_count(1);
  }

  std::span<const float> train(std::span<const float> weights, std::span<const std::int32_t> rows,
                               std::uint64_t key) override {
    load(executor_, weights);
    const auto source = batches(rows, key);
    FitOptions fit_options;
    fit_options.epochs = setting_.steps.epochs;
    fit_options.optimizer = {.name = "sgd", .learning_rate = setting_.steps.learning_rate};
    fit_options.optimizer.momentum = 0.0;
    fit_options.schedule = {.name = "constant"};
    fit_options.seed = key;
    fit(executor_, logits_, *source, cross_entropy(), fit_options);
    trained_ = values_of(executor_);
    return trained_;
  }

 private:
  std::unique_ptr<BatchSource> batches(std::span<const std::int32_t> rows, std::uint64_t key) {
    ImageView view{setting_.data.images, {rows.begin(), rows.end()}};
    std::vector<std::int32_t> labels;
    labels.reserve(rows.size());
    for (const std::int32_t row : rows) {
      labels.push_back(setting_.data.labels.at(static_cast<std::size_t>(row)));
    }
    BatchOptions options;
    options.batch = setting_.steps.batch;
    options.normalisation = setting_.normalisation;
    options.seed = key;
    return make_batches(std::move(view), to_tensor(labels), options);
  }

  const AutogradSetting& setting_;
  Executor executor_;
  std::array<int, 1> logits_;
  std::vector<float> trained_;
};

class AutogradEngine : public Engine {
 public:
  explicit AutogradEngine(AutogradSetting setting) : setting_(std::move(setting)) {
    Executor executor(setting_.graph);
    setting_.graph.output("logits");  // throws
  }

  std::vector<float> flatten(const Graph& graph) const override {
    Executor executor(graph);
    return values_of(executor);
  }
  Graph unflatten(std::span<const float> weights) const override {
    Executor executor(setting_.graph);
    load(executor, weights);
    return executor.snapshot();
  }
  std::unique_ptr<ClientTrainer> make_trainer() const override {
    return std::make_unique<AutogradTrainer>(setting_);
  }

 private:
  AutogradSetting setting_;
};

}  // namespace

std::unique_ptr<Engine> make_autograd_engine(const Graph& graph, const Dataset& data,
                                             const Normalisation& normalisation,
                                             const LocalSteps& steps) {
  return std::make_unique<AutogradEngine>(AutogradSetting{graph, data, normalisation, steps});
}

}  // namespace fedstill
