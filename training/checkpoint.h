#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace fedstill {

// Where a fit is, beside its tensors.
struct FitPlace {
  std::int64_t steps_done = 0;
  std::int64_t images = 0;           // seen so far
  std::vector<double> epoch_losses;  // of the epochs done
  double loss_sum = 0.0;             // over the steps of the epoch under way
  double seconds = 0.0;              // that these steps took

  bool operator==(const FitPlace&) const = default;
};

// What a fit needs to go on as if it had never stopped, as plain data.
struct Checkpoint {
  // What the fit is: options, graph, initial values. Two fits with equal lists compute the same.
  struct Fact {
    std::string name, value;
    bool operator==(const Fact&) const = default;
  };
  std::vector<Fact> identity;
  FitPlace place;
  // Parameters, the optimizer's state, and of several ranks the statistics of each; float32.
  std::vector<Tensor> tensors;

  bool operator==(const Checkpoint&) const = default;
};

std::vector<std::byte> encode_checkpoint(const Checkpoint& checkpoint);

// Throws DecodeError on anything encode_checkpoint() did not write, earlier versions included;
// checks a SHA-256 first.
Checkpoint decode_checkpoint(std::span<const std::byte> bytes);

// Throws std::invalid_argument naming the first fact that differs and both its values.
void check_identity(const Checkpoint& found, const std::vector<Checkpoint::Fact>& expected,
                    const std::filesystem::path& path);

}  // namespace fedstill
