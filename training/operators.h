#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <span>

#include "model/graph.h"

namespace fedstill {

class Collective;

// How one node is to be computed.
struct OperatorCall {
  const Node& node;
  const SampleShape& shape;            // of the result
  std::span<const at::Tensor> inputs;  // in the order of the node
  std::span<at::Tensor> parameters;    // likewise; BatchNorm's running statistics are updated
  bool training = false;               // batch statistics and dropout
  bool overwrite = false;              // the first input is read by nobody else: reuse its memory
  bool rectify = false;                // BatchNorm, MaxPool: apply a ReLU to the result as well
  const at::Generator& generator;      // of dropout
  Collective* group = nullptr;         // BatchNorm in training measures over these ranks
  at::Device wire = at::kCPU;          // whose memory they exchange
};

// Computes one node with ATen. Requires: a validated graph; not for Op::kInput.
at::Tensor apply_operator(const OperatorCall& call);

// True where the operator's result is fresh memory that its own gradient does not read, so that
// the next operator may overwrite it.
bool leaves_result_free(Op op);

}  // namespace fedstill
