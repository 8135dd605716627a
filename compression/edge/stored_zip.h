#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// A zip whose entries are stored, not deflated: no entry is larger than the file that holds it, and
// the bytes depend on no compressor's version. Any zip tool opens it.
struct ZipEntry {
  std::string name;
  std::span<const std::byte> bytes;  // Requires: alive during the call
};

// In the order given, with the zip epoch as the time of every entry: equal entries give equal
// bytes.
std::vector<std::byte> write_stored_zip(std::span<const ZipEntry> entries);

// Expects exactly the named entries, each at most so many bytes. Throws DecodeError for a missing,
// an unknown, a repeated, a compressed or an oversize entry, a wrong checksum, and bytes before or
// after the archive; nothing is allocated from a number that was not checked.
std::map<std::string, std::vector<std::byte>> read_stored_zip(
    std::span<const std::byte> bytes, const std::map<std::string, std::size_t>& max_bytes);

}  // namespace fedstill
