#include "tests/collective/fake_nccl.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "collective/local/local.h"

namespace fedstill::fake_nccl {
namespace {

constexpr int kRefused = 5;

struct World {
  std::mutex mutex;
  std::atomic<int> connected = 0;  // ranks that have come to their first operation
  std::vector<std::unique_ptr<Collective>> ranks;
};

struct FakeStream {
  std::vector<Pending> queued;
};

struct FakeEvent {
  FakeStream* stream = nullptr;
  std::size_t position = 0;  // done when so many of the stream's operations are
};

struct FakeComm {
  std::shared_ptr<World> world;
  std::unique_ptr<Collective> group;
  std::atomic<int> polls = 0;
  bool has_begun = false;
};

struct State {
  Faults faults;
  std::atomic<int> aborted, destroyed, events, streams, looks;
  std::mutex mutex;
  std::vector<std::shared_ptr<World>> worlds;
};

State& state() {
  static State instance;
  return instance;
}

FakeComm& comm_of(nccl::Comm comm) { return *static_cast<FakeComm*>(comm); }

const char* error_string(int code) {
  return code == kRefused ? "refused by the fake" : "fake error";
}

int get_unique_id(nccl::UniqueId* id) {
  const std::lock_guard lock(state().mutex);
  state().worlds.push_back(std::make_shared<World>());
  const std::size_t index = state().worlds.size() - 1;
  std::memcpy(id->bytes.data(), &index, sizeof(index));
  return nccl::kSuccess;
}

int init(nccl::Comm* comm, int ranks, nccl::UniqueId id, int rank, nccl::Config* config) {
  if (config->blocking != 0 || config->magic != 0xcafebeef) return kRefused;
  if (rank == state().faults.refuse_init_of_rank) return kRefused;
  std::size_t index = 0;
  std::memcpy(&index, id.bytes.data(), sizeof(index));
  auto made = std::make_unique<FakeComm>();
  {
    const std::lock_guard lock(state().mutex);
    made->world = state().worlds.at(index);
  }
  const std::lock_guard lock(made->world->mutex);
  if (made->world->ranks.empty()) made->world->ranks = local::make_group(ranks);
  made->group = std::move(made->world->ranks.at(static_cast<std::size_t>(rank)));
  *comm = made.release();
  return nccl::kInProgress;
}

int get_async_error(nccl::Comm comm, int* result) {
  const Faults& faults = state().faults;
  FakeComm& asked = comm_of(comm);
  ++state().looks;
  const bool is_starting = asked.polls++ < 3 || faults.init_never_completes ||
                           (asked.has_begun && asked.world->connected < asked.group->size());
  *result = is_starting ? nccl::kInProgress : faults.async_error.load();
  return nccl::kSuccess;
}

int finalize(nccl::Comm) { return nccl::kSuccess; }

int destroy(nccl::Comm comm) {
  ++state().destroyed;
  delete &comm_of(comm);
  return nccl::kSuccess;
}

int abort_comm(nccl::Comm comm) {
  ++state().aborted;
  delete &comm_of(comm);
  return nccl::kSuccess;
}

ElementType type_of(int code) {
  switch (code) {
    case 1:
      return ElementType::kUint8;
    case 4:
      return ElementType::kInt64;
    case 7:
      return ElementType::kFloat32;
    case 8:
      return ElementType::kFloat64;
    case 9:
      return ElementType::kBfloat16;
    default:
      std::abort();
  }
}

Reduction reduction_of(int code) {
  return code == 0 ? Reduction::kSum : code == 2 ? Reduction::kMax : Reduction::kMin;
}

// As NCCL does it, ranks connect with their first operation, and none gets past it before all have
// come.
int queue(nccl::Comm comm, nccl::Stream stream, Pending pending) {
  static_cast<FakeStream*>(stream)->queued.push_back(std::move(pending));
  if (std::exchange(comm_of(comm).has_begun, true)) return nccl::kSuccess;
  ++comm_of(comm).world->connected;
  return nccl::kInProgress;
}

int all_reduce(const void* in, void* out, std::size_t count, int type, int op, nccl::Comm comm,
               nccl::Stream stream) {
  if (state().faults.operations_never_complete) return queue(comm, stream, Pending());
  if (in != out) std::abort();
  return queue(comm, stream,
               comm_of(comm).group->all_reduce({out, count, type_of(type)}, reduction_of(op)));
}

int reduce_scatter(const void* in, void* out, std::size_t count, int type, int op, nccl::Comm comm,
                   nccl::Stream stream) {
  Collective& group = *comm_of(comm).group;
  const ConstElements input(in, count * static_cast<std::size_t>(group.size()), type_of(type));
  return queue(comm, stream,
               group.reduce_scatter(input, {out, count, type_of(type)}, reduction_of(op)));
}

int all_gather(const void* in, void* out, std::size_t count, int type, nccl::Comm comm,
               nccl::Stream stream) {
  Collective& group = *comm_of(comm).group;
  const Elements output{out, count * static_cast<std::size_t>(group.size()), type_of(type)};
  return queue(comm, stream, group.all_gather({in, count, type_of(type)}, output));
}

int broadcast(const void*, void* out, std::size_t count, int type, int root, nccl::Comm comm,
              nccl::Stream stream) {
  return queue(comm, stream, comm_of(comm).group->broadcast({out, count, type_of(type)}, root));
}

int get_device_count(int* count) {
  *count = state().faults.devices;
  return nccl::kSuccess;
}

int set_device(int) { return nccl::kSuccess; }

int allocate(void** memory, std::size_t bytes) {
  *memory = std::calloc(1, bytes);
  return nccl::kSuccess;
}

int release(void* memory) {
  std::free(memory);
  return nccl::kSuccess;
}

int stream_create(nccl::Stream* stream, unsigned) {
  ++state().streams;
  *stream = new FakeStream;
  return nccl::kSuccess;
}

int stream_destroy(nccl::Stream stream) {
  --state().streams;
  delete static_cast<FakeStream*>(stream);
  return nccl::kSuccess;
}

int stream_wait_event(nccl::Stream, nccl::Event, unsigned) { return nccl::kSuccess; }

int event_create(nccl::Event* event, unsigned) {
  ++state().events;
  *event = new FakeEvent;
  return nccl::kSuccess;
}

int event_destroy(nccl::Event event) {
  --state().events;
  delete static_cast<FakeEvent*>(event);
  return nccl::kSuccess;
}

int event_record(nccl::Event event, nccl::Stream stream) {
  auto& made = *static_cast<FakeEvent*>(event);
  made.stream = static_cast<FakeStream*>(stream);
  if (made.stream != nullptr) made.position = made.stream->queued.size();
  return nccl::kSuccess;
}

int event_query(nccl::Event event) {
  if (state().faults.operations_never_complete) return nccl::kNotReady;
  const auto& made = *static_cast<FakeEvent*>(event);
  for (std::size_t i = 0; i < made.position; ++i) {
    if (!made.stream->queued[i].is_done()) return nccl::kNotReady;
  }
  return nccl::kSuccess;
}

}  // namespace

Faults& faults() { return state().faults; }

Counts counts() {
  return {state().aborted, state().destroyed, state().events, state().streams, state().looks};
}

nccl::Api api() {
  Faults& faults = state().faults;
  faults.devices = 8;
  faults.refuse_init_of_rank = -1;
  faults.init_never_completes = faults.operations_never_complete = false;
  faults.async_error = nccl::kSuccess;
  state().aborted = state().destroyed = state().events = state().streams = state().looks = 0;
  nccl::Api api;
  api.ncclGetErrorString = error_string;
  api.ncclGetUniqueId = get_unique_id;
  api.ncclCommInitRankConfig = init;
  api.ncclCommGetAsyncError = get_async_error;
  api.ncclCommFinalize = finalize;
  api.ncclCommDestroy = destroy;
  api.ncclCommAbort = abort_comm;
  api.ncclAllReduce = all_reduce;
  api.ncclReduceScatter = reduce_scatter;
  api.ncclAllGather = all_gather;
  api.ncclBroadcast = broadcast;
  api.cudaGetErrorString = error_string;
  api.cudaGetDeviceCount = get_device_count;
  api.cudaSetDevice = set_device;
  api.cudaMalloc = allocate;
  api.cudaFree = release;
  api.cudaStreamCreateWithFlags = stream_create;
  api.cudaStreamDestroy = stream_destroy;
  api.cudaStreamWaitEvent = stream_wait_event;
  api.cudaEventCreateWithFlags = event_create;
  api.cudaEventDestroy = event_destroy;
  api.cudaEventRecord = event_record;
  api.cudaEventQuery = event_query;
  return api;
}

}  // namespace fedstill::fake_nccl
