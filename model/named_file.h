#pragma once

#include <filesystem>
#include <string>

#include "model/decode_error.h"

namespace fedstill {

// Runs work on the bytes of a file. What it finds damaged names the file behind the origin:
// "[zip] truncated" becomes "[zip] FILE: truncated".
template <typename Work>
auto decode_named(const std::filesystem::path& file, const Work& work) {
  try {
    return work();
  } catch (const DecodeError& error) {
    const std::string what = error.what();
    if (what.find(file.string()) != std::string::npos) throw;
    const auto end = what.starts_with("[") ? what.find("] ") : std::string::npos;
    if (end == std::string::npos) throw DecodeError("[file] " + file.string() + ": " + what);
    throw DecodeError(what.substr(0, end + 2) + file.string() + ": " + what.substr(end + 2));
  }
}

}  // namespace fedstill
