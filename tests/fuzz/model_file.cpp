// A model file that is accepted can be written again, means the same and can be exported;
// everything else is a DecodeError. Tried as it comes and with the header's length and the hash of
// the data put right.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/onnx.h"
#include "tests/fuzz/right_hash.h"

namespace {

// An output may be named like the input, which ONNX has no room for.
template <typename G>
void export_to_onnx(const G& graph) {
  try {
    fedstill::encode_onnx(graph);
  } catch (const std::invalid_argument&) {
  }
}

template <typename Decode>
void try_decode(std::span<const std::byte> bytes, Decode&& decode) {
  try {
    const auto graph = decode(bytes);
    if (!(decode(fedstill::encode_model(graph)) == graph)) std::abort();
    export_to_onnx(graph);
  } catch (const fedstill::DecodeError&) {
  }
}

void try_both(std::span<const std::byte> bytes) {
  try_decode(bytes, [](std::span<const std::byte> file) { return fedstill::decode_model(file); });
  try_decode(bytes, [](std::span<const std::byte> file) {
    return fedstill::decode_quantized_model(file);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  try_both(input);
  const auto bytes = fedstill::tests::with_right_length(input);
  if (bytes.empty()) return 0;
  try_both(fedstill::tests::with_right_hash(bytes));
  return 0;
}
