#include <algorithm>

#include "model/decode_error.h"
#include "transport/tls/frame_reader.h"

// The first byte says in how large pieces the rest arrives. Nothing the bytes claim may make the
// reader ask for more than a bounded step.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{data[0]} + 1;
  auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  fedstill::FrameReader reader({});
  try {
    while (!bytes.empty()) {
      const auto wanted = reader.wanted();
      if (wanted.empty() || wanted.size() > std::size_t{1} << 20) __builtin_trap();
      const std::size_t count = std::min({wanted.size(), bytes.size(), piece});
      std::copy_n(bytes.begin(), count, wanted.begin());
      bytes = bytes.subspan(count);
      static_cast<void>(reader.took(count));
    }
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
