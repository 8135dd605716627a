#include "model/text_file.h"

#include <vector>

#include "model/atomic_file.h"

namespace fedstill {

std::string read_text(const std::filesystem::path& path, std::size_t max_bytes) {
  const std::vector<std::byte> bytes = read_file(path, max_bytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace fedstill
