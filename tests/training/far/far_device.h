#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace fedstill::tests {

// A device for LibTorch whose memory the host cannot touch: its addresses are mapped to nothing, so
// that code which reads a device's tensors behind LibTorch's back is killed, and tensors of two
// devices do not mix. Every operator runs on the cpu, on copies. Call it before any other use
// of LibTorch.
at::Device register_far_device();

void set_far_memory(std::int64_t bytes);  // that it says is free
std::int64_t far_looks();                 // values that the host has asked it for
// The most bytes that were in use at once since the last call, beyond those that still are.
std::int64_t take_far_peak();

}  // namespace fedstill::tests
