#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

struct Kernels;
const Kernels& fastest_kernels();  // of this processor

// Executes a QuantizedGraph in integers, exactly what is shipped: uint8 activations, int8 weights,
// int32 accumulators, requantisation q = clamp(round_half_even(acc × (s_x·s_w / s_y)) + z_y) in
// float32, as ONNX QLinearConv defines it. Add dequantizes, adds and quantizes in float32;
// activations without an integer form are tables of 256 codes. The result has the same bits on
// every processor. No LibTorch. One instance per thread; buffers are sized once at construction.
class Interpreter {
 public:
  // Validates. Throws std::invalid_argument "[interpreter] node 'softmax1' (Softmax): …" for what
  // has no integer form and for weights whose sums could leave 32 bits.
  explicit Interpreter(const QuantizedGraph& graph, const Kernels& kernels = fastest_kernels());
  ~Interpreter();
  Interpreter(Interpreter&&) noexcept;

  // image: normalised float32 [C, H, W] of one sample. The logits [C] stay valid until the next
  // call.
  std::span<const float> run(std::span<const float> image);
  // The same from the input node's codes, in the order of the sample shape.
  std::span<const float> run_codes(std::span<const std::uint8_t> image);

  // uint8 codes of a node's output after run(), in the node's sample shape (C, H, W). Empty for the
  // logits node. Valid until the next call of run() or of codes() for the same node.
  std::span<const std::uint8_t> codes(int node) const;

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace fedstill
