#pragma once

#include <filesystem>
#include <stdexcept>

#include "model/decode_error.h"

namespace fedstill {

// Runs work on a bundle that was decoded. What the interpreter cannot execute is not the caller's
// mistake but the file's: DecodeError naming it.
template <typename Work>
auto run_bundle(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    throw DecodeError("[bundle] " + path.string() + ": " + error.what());
  }
}

}  // namespace fedstill
