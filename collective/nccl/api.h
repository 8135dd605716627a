#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "collective/nccl/nccl.h"

// The few functions of NCCL and of the CUDA runtime in use, as their C headers declare them, behind
// one table: a test fills it without a GPU. Enumerations are plain integers.
namespace fedstill::nccl {

using Comm = void*;
using Stream = void*;
using Event = void*;

struct UniqueId {
  std::array<char, 128> bytes{};
};

// The head of ncclConfig_t as of 2.14: NCCL reads no more than `size` says and fills up the rest.
struct Config {
  std::size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
};

inline constexpr int kSuccess = 0;     // of either library
inline constexpr int kInProgress = 7;  // ncclInProgress
inline constexpr int kNotReady = 600;  // cudaErrorNotReady

struct Api {
  const char* (*ncclGetErrorString)(int) = nullptr;
  int (*ncclGetUniqueId)(UniqueId*) = nullptr;
  int (*ncclCommInitRankConfig)(Comm*, int ranks, UniqueId, int rank, Config*) = nullptr;
  int (*ncclCommGetAsyncError)(Comm, int*) = nullptr;
  int (*ncclCommFinalize)(Comm) = nullptr;
  int (*ncclCommDestroy)(Comm) = nullptr;
  int (*ncclCommAbort)(Comm) = nullptr;
  int (*ncclAllReduce)(const void*, void*, std::size_t, int type, int op, Comm, Stream) = nullptr;
  int (*ncclReduceScatter)(const void*, void*, std::size_t, int type, int op, Comm,
                           Stream) = nullptr;
  int (*ncclAllGather)(const void*, void*, std::size_t, int type, Comm, Stream) = nullptr;
  int (*ncclBroadcast)(const void*, void*, std::size_t, int type, int root, Comm, Stream) = nullptr;
  const char* (*cudaGetErrorString)(int) = nullptr;
  int (*cudaGetDeviceCount)(int*) = nullptr;
  int (*cudaSetDevice)(int) = nullptr;
  int (*cudaMalloc)(void**, std::size_t) = nullptr;
  int (*cudaFree)(void*) = nullptr;
  int (*cudaStreamCreateWithFlags)(Stream*, unsigned) = nullptr;
  int (*cudaStreamDestroy)(Stream) = nullptr;
  int (*cudaStreamWaitEvent)(Stream, Event, unsigned) = nullptr;
  int (*cudaEventCreateWithFlags)(Event*, unsigned) = nullptr;
  int (*cudaEventDestroy)(Event) = nullptr;
  int (*cudaEventRecord)(Event, Stream) = nullptr;
  int (*cudaEventQuery)(Event) = nullptr;
};

// Loads both libraries for as long as the process lives. Throws CollectiveError.
Api load(const Options& options);

// make() over any table.
std::unique_ptr<Collective> make_with(Collective& bootstrap, const Options& options,
                                      const Api& api);

}  // namespace fedstill::nccl
