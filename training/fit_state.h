#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>

#include "training/checkpoint.h"

namespace fedstill {

// Puts a checkpoint's tensors into those of a fit of so many epochs, on whatever device they are.
// Checks everything before it changes anything: throws DecodeError where number, shape or epochs
// are not the fit's.
void restore(const Checkpoint& state, std::span<const at::Tensor> targets, std::int64_t epochs,
             const std::filesystem::path& path);

}  // namespace fedstill
