#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace fedstill {

// What a fit needs to go on as if it had never stopped, as plain data.
struct Checkpoint {
  // What the fit is: options, graph, initial values. Two fits with equal lists compute the same.
  struct Fact {
    std::string name, value;
    bool operator==(const Fact&) const = default;
  };
  std::vector<Fact> identity;
  std::int64_t epochs_done = 0;
  std::int64_t images = 0;           // seen so far
  std::vector<double> epoch_losses;  // epochs_done of them
  std::vector<Tensor> tensors;       // parameters, then the optimizer's state; float32

  bool operator==(const Checkpoint&) const = default;
};

std::vector<std::byte> encode_checkpoint(const Checkpoint& checkpoint);

// Throws DecodeError on anything encode_checkpoint() did not write; checks a SHA-256 first.
Checkpoint decode_checkpoint(std::span<const std::byte> bytes);

// Throws std::invalid_argument naming the first fact that differs and both its values.
void check_identity(const Checkpoint& found, const std::vector<Checkpoint::Fact>& expected,
                    const std::filesystem::path& path);

}  // namespace fedstill
