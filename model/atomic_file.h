#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace fedstill {

// Writes a whole file so that a reader or a crash sees the old content or the new, never a part:
// temp file beside it + fsync + rename + fsync of the folder. On any failure (full disk, no
// permission) the temp file is removed and std::system_error names the path.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Reads a whole file of at most max_bytes. Throws std::system_error (missing, unreadable) or
// DecodeError (too large).
std::vector<std::byte> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace fedstill
