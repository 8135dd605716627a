#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace fedstill {

// A whole file of at most max_bytes as text. Throws as read_file() does.
std::string read_text(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace fedstill
