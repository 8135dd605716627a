#include "model/atomic_file.h"

#include <fcntl.h>

#include <string>

#include "model/decode_error.h"
#include "model/file_descriptor.h"
#include "model/temporary_file.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

}  // namespace

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  TemporaryFile temporary(path, O_WRONLY);
  temporary.file().write(bytes);
  temporary.replace_target();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

std::vector<std::byte> read_file(const fs::path& path, std::size_t max_bytes) {
  FileDescriptor file(path, O_RDONLY);
  // The size a file system reports is not believed (pipes, files that grow): read to the end, but
  // never more than one byte past the limit.
  std::vector<std::byte> bytes;
  for (;;) {
    const std::size_t filled = bytes.size();
    const std::size_t room = max_bytes - filled;
    bytes.resize(filled + (room < kChunkBytes ? room + 1 : kChunkBytes));
    const std::size_t count = file.read(std::span(bytes).subspan(filled));
    bytes.resize(filled + count);
    if (count == 0) return bytes;
    if (bytes.size() > max_bytes) {
      throw DecodeError("[file] " + path.string() + " is larger than " + std::to_string(max_bytes) +
                        " bytes");
    }
  }
}

}  // namespace fedstill
