#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "model/model_file.h"
#include "model/zoo.h"

namespace fedstill {

// What an update may cost the coordinator that evaluates it.
struct UpdateLimits {
  ModelFileLimits file;
  std::int64_t max_operations = 20'000'000'000;       // per image (model/cost.h)
  std::int64_t max_activation_bytes = 1'000'000'000;  // per image, of all nodes, padding included
};

// Why these bytes are not a client's update, or nothing: a model file within the limits, its input
// the image, its outputs exactly "logits" [classes] and "confidence" (one number per image), every
// weight finite. Throws nothing but std::bad_alloc.
std::string find_update_problem(std::span<const std::byte> bytes, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits = {});
// The same of a file, of which only the tensors come into memory. Throws std::system_error.
std::string find_update_problem(const std::filesystem::path& file, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits = {});

}  // namespace fedstill
