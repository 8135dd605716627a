#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/batches.h"
#include "data/images.h"
#include "model/graph.h"

namespace fedstill {

// Local training of a client: SGD without momentum on the cross-entropy of the output "logits".
struct LocalSteps {
  std::int64_t batch = 10;
  std::int64_t epochs = 1;
  double learning_rate = 0.03;
  bool bf16 = false;  // products of bfloat16; sums, weights and their gradients are float32
};

// One worker's model, into which one client after another is loaded. One thread at a time.
class ClientTrainer {
 public:
  virtual ~ClientTrainer() = default;
  // Trains from these weights on these rows of the data set and returns the client's weights, which
  // are valid until the next call. Batches as EpochShuffle(rows.size(), batch, key) has them.
  // Throws DivergedError, and std::invalid_argument for no rows.
  virtual std::span<const float> train(std::span<const float> weights,
                                       std::span<const std::int32_t> rows, std::uint64_t key) = 0;
};

// How clients of one architecture train. All weights of a model, running statistics too, are one
// flat buffer, laid out as the engine likes it.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::vector<float> flatten(const Graph& graph) const = 0;
  virtual Graph unflatten(std::span<const float> weights) const = 0;
  // For the calling thread, which then uses one core. The engine must outlive the trainer.
  virtual std::unique_ptr<ClientTrainer> make_trainer() const = 0;
};

// Any graph, by LibTorch's automatic differentiation. The data set is shared, not copied. Throws
// std::invalid_argument for an invalid graph or one without "logits".
std::unique_ptr<Engine> make_autograd_engine(const Graph& graph, const Dataset& data,
                                             const Normalisation& normalisation,
                                             const LocalSteps& steps);

// Plain chains of Conv2d, ReLU, MaxPool, Flatten and Linear, with gradients written down
// (training/chain/): many times faster where models and batches are small. Throws
// std::invalid_argument for any other graph, naming the node, and for images that do not fit it.
std::unique_ptr<Engine> make_chain_engine(const Graph& graph, const Dataset& data,
                                          const Normalisation& normalisation,
                                          const LocalSteps& steps);

}  // namespace fedstill
