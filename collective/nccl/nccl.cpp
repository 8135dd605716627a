#include "collective/nccl/nccl.h"

#include <vector>

#include "collective/nccl/communicator.h"

namespace fedstill::nccl {
namespace {

class NcclWork : public Work {
 public:
  NcclWork(std::shared_ptr<Communicator> comm, Event event)
      : comm_(std::move(comm)), event_(event) {}
  ~NcclWork() override {
    if (!is_done_) comm_->give_up("an operation was given up by this rank");
    comm_->retire(event_);
  }
  bool is_done() override { return is_done_ = is_done_ || comm_->is_done(event_); }
  void wait() override {
    for (WakingTime time; !is_done();) pause(time.look());
  }

 private:
  std::shared_ptr<Communicator> comm_;
  Event event_;
  bool is_done_ = false;
};

class NcclCollective : public Collective {
 public:
  NcclCollective(std::shared_ptr<Communicator> comm, int rank, int size)
      : comm_(std::move(comm)), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }

 private:
  Pending start(const Operation& operation) override {
    const Event event = comm_->begin(operation);
    return Pending(std::make_unique<NcclWork>(comm_, event));
  }

  std::shared_ptr<Communicator> comm_;
  int rank_, size_;
};

// Throws on every rank if any has an error, its own or the first other's rank.
void agree(Collective& bootstrap, const std::string& error) {
  std::vector<std::int64_t> first{error.empty() ? bootstrap.size() : bootstrap.rank()};
  bootstrap.all_reduce(elements(first), Reduction::kMin).wait();
  if (!error.empty()) throw CollectiveError(error);
  if (first[0] < bootstrap.size())
    throw CollectiveError("[nccl] rank " + std::to_string(first[0]) + " could not start");
}

template <typename Action>
auto together(Collective& bootstrap, Action action) {
  std::string error;
  decltype(action()) result{};
  try {
    result = action();
  } catch (const CollectiveError& problem) {
    error = problem.what();
  }
  agree(bootstrap, error);
  return result;
}

UniqueId id_of_rank_0(Collective& bootstrap, const Options& options, const Api& api) {
  UniqueId id;
  int devices = 0, result = api.cudaGetDeviceCount(&devices);
  if (result != kSuccess)
    throw CollectiveError(std::string("[nccl] cudaGetDeviceCount: ") +
                          api.cudaGetErrorString(result));
  if (options.device < 0 || options.device >= devices)
    throw CollectiveError("[nccl] found " + std::to_string(devices) + " devices, expected number " +
                          std::to_string(options.device));
  if (bootstrap.rank() != 0) return id;
  result = api.ncclGetUniqueId(&id);
  if (result != kSuccess)
    throw CollectiveError(std::string("[nccl] ncclGetUniqueId: ") + api.ncclGetErrorString(result));
  return id;
}

}  // namespace

std::unique_ptr<Collective> make_with(Collective& bootstrap, const Options& options,
                                      const Api& api) {
  const int rank = bootstrap.rank(), size = bootstrap.size();
  UniqueId id = together(bootstrap, [&] { return id_of_rank_0(bootstrap, options, api); });
  bootstrap.broadcast({id.bytes.data(), id.bytes.size(), ElementType::kUint8}, 0).wait();
  auto comm = together(
      bootstrap, [&] { return std::make_shared<Communicator>(api, options, id, rank, size); });
  return std::make_unique<NcclCollective>(std::move(comm), rank, size);
}

std::unique_ptr<Collective> make(Collective& bootstrap, const Options& options) {
  const Api api = together(bootstrap, [&] { return load(options); });
  return make_with(bootstrap, options, api);
}

}  // namespace fedstill::nccl
