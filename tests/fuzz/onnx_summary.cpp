// ONNX files: any bytes are summarised or throw DecodeError.
#include <cstddef>
#include <cstdint>
#include <span>

#include "model/decode_error.h"
#include "model/onnx_summary.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto summary = fedstill::decode_onnx_summary(std::as_bytes(std::span(data, size)));
    if (summary.opset == 0) __builtin_trap();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
