#include "training/chain/chain_weights.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "training/chain/kernels.h"

namespace fedstill::chain {
namespace {

std::int64_t weight_size(const ConvStage& stage) {
  return stage.out_channels * stage.kernel[0] * padded(stage.kernel_row());
}
std::int64_t weight_size(const LinearStage& stage) { return stage.out * padded(stage.in()); }
std::int64_t outputs(const ConvStage& stage) { return stage.out_channels; }
std::int64_t outputs(const LinearStage& stage) { return stage.out; }

// Calls visit(index in the tensor, index in the stage's buffer) for every weight.
template <typename Visit>
void for_weights(const ConvStage& s, const Visit& visit) {
  const std::int64_t row = padded(s.kernel_row());
  std::int64_t from = 0;
  for (std::int64_t o = 0; o < s.out_channels; ++o) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      for (std::int64_t y = 0; y < s.kernel[0]; ++y) {
        for (std::int64_t x = 0; x < s.kernel[1]; ++x) {
          visit(from++, (o * s.kernel[0] + y) * row + x * s.channels + c);
        }
      }
    }
  }
}

template <typename Visit>
void for_weights(const LinearStage& s, const Visit& visit) {
  const std::int64_t row = padded(s.in()), area = s.height * s.width;
  std::int64_t from = 0;
  for (std::int64_t o = 0; o < s.out; ++o) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      for (std::int64_t i = 0; i < area; ++i) visit(from++, o * row + i * s.channels + c);
    }
  }
}

}  // namespace

std::vector<StageWeights> place_weights(const ChainPlan& plan) {
  std::vector<StageWeights> places;
  std::int64_t next = 0;
  for (const Stage& any : plan.stages) {
    std::visit(
        [&](const auto& stage) {
          const std::int64_t bias = next + weight_size(stage);
          places.push_back({next, bias, bias + padded(outputs(stage))});
        },
        any);
    next = places.back().end;
  }
  return places;
}

std::vector<float> flatten_weights(const ChainPlan& plan, const Graph& graph) {
  const std::vector<StageWeights> places = place_weights(plan);
  std::vector<float> flat(static_cast<std::size_t>(places.back().end));
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::visit(
        [&](const auto& stage) {
          float* const weight = flat.data() + places[i].weight;
          const std::span<const float> from =
              graph.tensors.at(stage.weight).template values<float>();
          for_weights(stage, [&](std::int64_t source, std::int64_t target) {
            weight[target] = from[static_cast<std::size_t>(source)];
          });
          if (stage.bias.empty()) return;
          const auto bias = graph.tensors.at(stage.bias).template values<float>();
          std::copy(bias.begin(), bias.end(), flat.begin() + places[i].bias);
        },
        plan.stages[i]);
  }
  return flat;
}

Graph unflatten_weights(const ChainPlan& plan, const Graph& graph, std::span<const float> weights) {
  const std::vector<StageWeights> places = place_weights(plan);
  if (std::ssize(weights) != places.back().end) {
    throw std::invalid_argument("[chain] found " + std::to_string(weights.size()) +
                                " weights, expected " + std::to_string(places.back().end));
  }
  Graph out = graph;
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::visit(
        [&](const auto& stage) {
          const float* const weight = weights.data() + places[i].weight;
          const std::span<float> to = out.tensors.at(stage.weight).template values<float>();
          for_weights(stage, [&](std::int64_t target, std::int64_t source) {
            to[static_cast<std::size_t>(target)] = weight[source];
          });
          if (stage.bias.empty()) return;
          const auto bias = out.tensors.at(stage.bias).template values<float>();
          std::copy_n(weights.begin() + places[i].bias, bias.size(), bias.begin());
        },
        plan.stages[i]);
  }
  return out;
}

}  // namespace fedstill::chain
