#include "model/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "model/decode_error.h"

namespace fedstill {
namespace {

[[noreturn]] void fail_short(std::uint64_t offset, std::size_t wanted, std::uint64_t size) {
  throw DecodeError("[bytes] " + std::to_string(wanted) + " at " + std::to_string(offset) +
                    ": there are " + std::to_string(size));
}

std::uint64_t size_of(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) {
    throw std::system_error(errno, std::generic_category(), "[file] " + path.string());
  }
  return static_cast<std::uint64_t>(about.st_size);
}

}  // namespace

void MemorySource::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size() || out.size() > size() - offset) fail_short(offset, out.size(), size());
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

FileSource::FileSource(const std::filesystem::path& path)
    : file_(path, O_RDONLY), size_(size_of(file_, path)) {}

void FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) fail_short(offset, out.size(), size_);
  const std::size_t wanted = out.size();
  for (std::uint64_t at = offset; !out.empty();) {
    const std::size_t count = file_.read_at(at, out);
    if (count == 0) fail_short(offset, wanted, size_);
    at += count;
    out = out.subspan(count);
  }
}

}  // namespace fedstill
