#pragma once

// How the interpreter is put together: one step per node, each owning its packed weights and
// scratch space.

#include <cstdint>
#include <functional>
#include <vector>

#include "compression/edge/code_arithmetic.h"
#include "compression/edge/kernels.h"
#include "model/quantized_graph.h"

namespace fedstill {

// Where the codes of a node lie: images channels-last, [H, W, C]; everything else in the order of
// its shape. kSlack readable bytes follow.
struct Codes {
  std::uint8_t* data = nullptr;
  SampleShape shape;  // as in the graph: {C, H, W} or any other
  ActivationScale scale;
};

struct StepContext {
  const QuantizedGraph& model;
  const Node& node;
  std::vector<Codes> inputs;
  Codes output;
  CodeRange range;          // of the fused activation, else everything
  float* logits = nullptr;  // the last Linear: where the float result goes instead of codes
  const Kernels& kernels;
};

using Step = std::function<void()>;

Step make_dot_step(const StepContext& context);        // Conv2d, Linear
Step make_depthwise_step(const StepContext& context);  // Conv2d with one filter per channel
Step make_pool_step(const StepContext& context);       // MaxPool, AveragePool, GlobalAveragePool
Step make_pair_step(const StepContext& context);       // Add, Mul
Step make_table_step(const StepContext& context);      // every activation function
Step make_concat_step(const StepContext& context);
Step make_slice_step(const StepContext& context);
Step make_reshape_step(const StepContext& context);  // Reshape, Flatten
Step make_upsample_step(const StepContext& context);

bool is_depthwise(const Node& node, const SampleShape& input);

// True if the codes lie in the order of their shape: no image, or one where channels-last is the
// same.
bool is_plain(const SampleShape& shape);
void to_channels_first(const std::uint8_t* from, const SampleShape& shape, std::uint8_t* to);
void to_channels_last(const std::uint8_t* from, const SampleShape& shape, std::uint8_t* to);

[[noreturn]] void throw_step_error(const Node& node, const std::string& what);

}  // namespace fedstill
