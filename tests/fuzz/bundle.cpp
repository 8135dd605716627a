// A bundle that is accepted can be written again; everything else is a DecodeError. The input is
// tried as a zip, and as the manifest of a zip that is otherwise whole, or no input would get past
// the checksums.
#include <cstdint>
#include <span>

#include "compression/edge/bundle.h"
#include "compression/edge/stored_zip.h"
#include "model/decode_error.h"

namespace {

void try_bundle(std::span<const std::byte> bytes) {
  try {
    fedstill::encode_bundle(fedstill::decode_bundle(bytes));
  } catch (const fedstill::DecodeError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  try_bundle(input);
  const fedstill::ZipEntry entries[] = {
      {"manifest.json", input}, {"model.safetensors", {}}, {"model.onnx", {}}};
  try_bundle(fedstill::write_stored_zip(entries));
  return 0;
}
