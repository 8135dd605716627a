#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

// Executes a QuantizedGraph in integers, exactly what is shipped: uint8 activations, int8 weights,
// int32 accumulators, requantisation q = clamp(round_half_even(acc × (s_x·s_w / s_y)) + z_y) in
// float32, as ONNX QLinearConv defines it. No LibTorch. One instance per thread; buffers are sized
// once at construction.
class Interpreter {
 public:
  explicit Interpreter(const QuantizedGraph& graph);  // validates; throws std::invalid_argument
  ~Interpreter();
  Interpreter(Interpreter&&) noexcept;

  // image: normalised float32 [C, H, W] of one sample. The logits [C] stay valid until the next
  // call.
  std::span<const float> run(std::span<const float> image);

  // uint8 codes of a node's output after run(), in the node's sample shape (C, H, W). Empty for the
  // logits node.
  std::span<const std::uint8_t> codes(int node) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace fedstill
