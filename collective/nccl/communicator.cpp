#include "collective/nccl/communicator.h"

#include <algorithm>

namespace fedstill::nccl {
namespace {

using Kind = Operation::Kind;

constexpr unsigned kNonBlockingStream = 1;  // cudaStreamNonBlocking
constexpr unsigned kEventWithoutTiming = 2;
constexpr int kInt64 = 4, kSum = 0;
constexpr std::chrono::milliseconds kGlance{20};
constexpr std::chrono::seconds kFarewell{10};

int type_code(ElementType type) {  // ncclDataType_t
  switch (type) {
    case ElementType::kFloat32:
      return 7;
    case ElementType::kFloat64:
      return 8;
    case ElementType::kBfloat16:
      return 9;
    case ElementType::kInt64:
      return kInt64;
    case ElementType::kUint8:
      return 1;
  }
  throw std::invalid_argument("[nccl] no such element type");
}

int reduction_code(Reduction reduction) {  // ncclRedOp_t
  switch (reduction) {
    case Reduction::kSum:
      return kSum;
    case Reduction::kMax:
      return 2;
    case Reduction::kMin:
      return 3;
  }
  throw std::invalid_argument("[nccl] no such reduction");
}

}  // namespace

void pause(std::chrono::nanoseconds waited) {
  if (waited < std::chrono::milliseconds(1)) return std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::microseconds(100));
}

void Communicator::check_nccl(int result, const char* call) const {
  if (result != kSuccess)
    throw CollectiveError(std::string("[nccl] ") + call + ": " + api_.ncclGetErrorString(result));
}

void Communicator::check_cuda(int result, const char* call) const {
  if (result != kSuccess)
    throw CollectiveError(std::string("[nccl] ") + call + ": " + api_.cudaGetErrorString(result));
}

Communicator::Communicator(const Api& api, const Options& options, const UniqueId& id, int rank,
                           int ranks)
    : api_(api), options_(options) {
  try {
    check_cuda(api_.cudaSetDevice(options_.device), "cudaSetDevice");
    check_cuda(api_.cudaStreamCreateWithFlags(&stream_, kNonBlockingStream), "cudaStreamCreate");
    check_cuda(api_.cudaMalloc(&token_, sizeof(std::int64_t)), "cudaMalloc");
    meet(id, rank, ranks);
  } catch (...) {
    if (comm_ != nullptr) api_.ncclCommAbort(comm_);
    comm_ = nullptr;
    release();
    throw;
  }
  watchdog_ = std::jthread([this] { watch(); });
}

void Communicator::meet(const UniqueId& id, int rank, int ranks) {
  Config config;
  settle(api_.ncclCommInitRankConfig(&comm_, ranks, id, rank, &config), "ncclCommInitRank",
         options_.init_deadline);
}

// A non-blocking call returns before it is carried out; nothing may follow it until it is.
// That may take until the last rank has come: to the group, or to its first operation.
void Communicator::settle(int result, const char* call, std::chrono::nanoseconds deadline) {
  for (WakingTime time; result == kInProgress;) {
    const auto waited = time.look();
    if (waited > deadline)
      throw CollectiveError(std::string("[nccl] ") + call + " was not done by the deadline");
    pause(waited);
    check_nccl(api_.ncclCommGetAsyncError(comm_, &result), "ncclCommGetAsyncError");
  }
  check_nccl(result, call);
}

Communicator::~Communicator() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    stopped_.notify_all();
  }
  if (watchdog_.joinable()) watchdog_.join();
  try {
    if (comm_ != nullptr) {
      settle(api_.ncclCommFinalize(comm_), "ncclCommFinalize", kFarewell);
      api_.ncclCommDestroy(comm_);
    }
  } catch (const CollectiveError&) {
    api_.ncclCommAbort(comm_);
  }
  release();
}

void Communicator::release() {
  for (const Watched& one : watched_) api_.cudaEventDestroy(one.event);
  if (token_ != nullptr) api_.cudaFree(token_);
  if (stream_ != nullptr) api_.cudaStreamDestroy(stream_);
}

int Communicator::launch(const Operation& operation) {
  const auto& [kind, input, output, reduction, root] = operation;
  const int type = type_code(input.type), op = reduction_code(reduction);
  switch (kind) {
    case Kind::kAllReduce:
      return api_.ncclAllReduce(input.data, output.data, input.count, type, op, comm_, stream_);
    case Kind::kReduceScatter:
      return api_.ncclReduceScatter(input.data, output.data, output.count, type, op, comm_,
                                    stream_);
    case Kind::kAllGather:
      return api_.ncclAllGather(input.data, output.data, input.count, type, comm_, stream_);
    case Kind::kBroadcast:
      return api_.ncclBroadcast(input.data, output.data, input.count, type, root, comm_, stream_);
    case Kind::kBarrier:
      return api_.ncclAllReduce(token_, token_, 1, kInt64, kSum, comm_, stream_);
  }
  throw std::invalid_argument("[nccl] no such operation");
}

Event Communicator::record(Stream stream) {
  Event event = nullptr;
  check_cuda(api_.cudaEventCreateWithFlags(&event, kEventWithoutTiming), "cudaEventCreate");
  const int result = api_.cudaEventRecord(event, stream);
  if (result != kSuccess) api_.cudaEventDestroy(event);
  check_cuda(result, "cudaEventRecord");
  return event;
}

Event Communicator::begin(const Operation& operation) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw CollectiveError(failure_);
  try {
    // The calling thread's current device may be another one by now.
    check_cuda(api_.cudaSetDevice(options_.device), "cudaSetDevice");
    const Event ready = record(options_.compute_stream);
    const int result = api_.cudaStreamWaitEvent(stream_, ready, 0);
    api_.cudaEventDestroy(ready);  // CUDA keeps it until it has passed
    check_cuda(result, "cudaStreamWaitEvent");
    settle(launch(operation), describe(operation).c_str(), options_.deadline);
    watched_.push_back({record(stream_), time_.look(), describe(operation)});
    return watched_.back().event;
  } catch (const CollectiveError& error) {
    fail(error.what());
    throw;
  }
}

bool Communicator::is_done(Event event) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw CollectiveError(failure_);
  const int result = api_.cudaEventQuery(event);
  if (result == kNotReady) return false;
  if (result != kSuccess) fail(std::string("[nccl] ") + api_.cudaGetErrorString(result));
  if (!failure_.empty()) throw CollectiveError(failure_);
  return true;
}

void Communicator::retire(Event event) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(watched_.begin(), watched_.end(),
                                  [&](const Watched& one) { return one.event == event; });
  if (found == watched_.end()) return;
  api_.cudaEventDestroy(event);
  watched_.erase(found);
}

void Communicator::give_up(const std::string& why) {
  const std::lock_guard lock(mutex_);
  fail("[nccl] " + why);
}

void Communicator::fail(const std::string& why) {
  if (failure_.empty()) failure_ = why;
  if (comm_ != nullptr) api_.ncclCommAbort(comm_);
  comm_ = nullptr;
}

void Communicator::watch() {
  api_.cudaSetDevice(options_.device);
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kGlance, [this] { return stop_; })) look();
}

void Communicator::look() {
  if (comm_ == nullptr) return;
  int state = kSuccess;
  const int result = api_.ncclCommGetAsyncError(comm_, &state);
  if (result != kSuccess || (state != kSuccess && state != kInProgress))
    return fail(std::string("[nccl] ") +
                api_.ncclGetErrorString(result != kSuccess ? result : state));
  const auto now = time_.look();
  for (const Watched& one : watched_) {
    if (now - one.begun < options_.deadline) return;  // so are all that follow
    if (api_.cudaEventQuery(one.event) == kNotReady)
      return fail("[nccl] " + one.what + " was not done after " +
                  std::to_string(options_.deadline.count()) + " ms: a rank is late or gone");
  }
}

}  // namespace fedstill::nccl
