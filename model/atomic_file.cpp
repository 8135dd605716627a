#include "model/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <system_error>
#include <utility>

#include "model/decode_error.h"
#include "model/file_descriptor.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

// Removes the file on the way out unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void rename_to(const fs::path& target) {
    fs::rename(path_, target);
    path_.clear();
  }

 private:
  fs::path path_;
};

// Beside the target, so that the rename stays within one file system; unique among the threads of
// all processes. What a crashed process with the same id left behind is overwritten.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  fs::path name = path;
  name += ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter++);
  return name;
}

}  // namespace

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path temporary = temporary_name(path);
  FileDescriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  TemporaryFile guard(temporary);
  file.write(bytes);
  file.sync();
  file.close();
  guard.rename_to(path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  FileDescriptor(folder, O_RDONLY | O_DIRECTORY).sync();
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
