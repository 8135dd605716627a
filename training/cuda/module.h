#pragma once

#include "training/device_graph.h"

// What the program and the one part that needs CUDA's headers know of each other. That part is a
// module of its own, loaded when a device was asked for, so that the program links nothing of CUDA.
namespace fedstill::cuda {

inline constexpr const char* kModuleFile = "libfedstill_cuda.so";
// Of this version of both: a module of another build is not taken for this one's.
inline constexpr const char* kMakeGraph = "fedstill_make_cuda_graph_1";
using MakeGraph = DeviceGraph*();  // the caller owns the result

}  // namespace fedstill::cuda
