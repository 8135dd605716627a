#include "collective/mpi/mpi.h"

#include <mpi.h>

#include <deque>

#include "collective/mpi/back_off.h"
#include "collective/mpi/check.h"
#include "collective/mpi/layout.h"
#include "collective/mpi/transfer.h"

namespace fedstill::mpi {
namespace {

constexpr std::size_t kWindow = 3;  // segments under way: one reduces while others travel

class Communicator {
 public:
  explicit Communicator(int group) {
    int rank = 0;
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
    check(MPI_Comm_split(MPI_COMM_WORLD, group, rank, &comm_), "MPI_Comm_split");
    check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  void free() { MPI_Comm_free(&comm_); }

  MPI_Comm get() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

// Operations wait in a queue; the segments at its head are under way. Everything moves inside calls
// of this class: there is no thread of its own.
class Engine {
 public:
  Engine(Session& session, const Options& options)
      : session_(session), options_(options), comm_(options.group) {}
  ~Engine();
  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }

  std::uint64_t begin(const Operation& operation);  // its number
  void wait(std::uint64_t number);
  bool poll(std::uint64_t number);
  void give_up(std::uint64_t number);

 private:
  struct Task {
    Operation operation;
    Layout layout;
    std::size_t begun = 0, done = 0;  // segments
  };

  bool is_done(std::uint64_t number) const { return number < done_; }
  void throw_if_failed() const;
  void fail(const std::string& why);
  bool progress();  // true if something moved
  bool fill_window();
  bool advance_all();
  void retire();

  Session& session_;
  const Options options_;
  Communicator comm_;
  std::deque<Task> tasks_;          // not done, in order
  std::deque<Transfer> under_way_;  // of the first of them, in order
  std::uint64_t begun_ = 0, done_ = 0;
  std::string failure_;
};

Engine::~Engine() {
  // Freeing a communicator with messages under way would wait for ranks that may be gone.
  if (!failure_.empty() || !tasks_.empty()) {
    session_.abandon();
  } else {
    comm_.free();
  }
}

void Engine::throw_if_failed() const {
  if (!failure_.empty()) throw CollectiveError(failure_);
}

void Engine::fail(const std::string& why) {
  if (failure_.empty()) failure_ = why;
}

std::uint64_t Engine::begin(const Operation& operation) {
  throw_if_failed();
  tasks_.push_back({operation, Layout(operation, size())});
  progress();
  return begun_++;
}

bool Engine::progress() {
  try {
    const bool has_begun = fill_window(), has_moved = advance_all();
    retire();
    return has_begun || has_moved;
  } catch (const CollectiveError& error) {
    fail(error.what());
    throw;
  }
}

bool Engine::fill_window() {
  bool has_moved = false;
  for (Task& task : tasks_) {
    while (task.begun < task.layout.segments() && under_way_.size() < kWindow) {
      under_way_.emplace_back(comm_.get(), rank(), size(), task.operation, task.layout,
                              task.begun++);
      has_moved = true;
    }
    if (under_way_.size() == kWindow) break;
  }
  return has_moved;
}

bool Engine::advance_all() {
  bool has_moved = false, may_gather = true;
  for (Transfer& transfer : under_way_) {
    has_moved |= transfer.advance(may_gather);
    may_gather = transfer.has_begun_to_gather();
  }
  return has_moved;
}

void Engine::retire() {
  while (!under_way_.empty() && under_way_.front().is_done()) {
    under_way_.pop_front();
    if (++tasks_.front().done < tasks_.front().layout.segments()) continue;
    tasks_.pop_front();
    ++done_;
  }
}

void Engine::wait(std::uint64_t number) {
  BackOff back_off;
  while (!is_done(number)) {
    throw_if_failed();
    if (progress()) {
      back_off.news();
    } else if (back_off.since_news() > options_.deadline) {
      fail("[mpi] rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ": " +
           describe(tasks_.front().operation) + " (operation " + std::to_string(done_) +
           ") saw no progress for " + std::to_string(options_.deadline.count()) +
           " ms: another rank is late, gone or elsewhere");
    } else {
      back_off.pause();
    }
  }
}

bool Engine::poll(std::uint64_t number) {
  if (is_done(number)) return true;
  throw_if_failed();
  progress();
  return is_done(number);
}

void Engine::give_up(std::uint64_t number) {
  if (!is_done(number))
    fail("[mpi] operation " + std::to_string(number) + " was given up by this rank");
}

class MpiWork : public Work {
 public:
  MpiWork(std::shared_ptr<Engine> engine, std::uint64_t number)
      : engine_(std::move(engine)), number_(number) {}
  ~MpiWork() override { engine_->give_up(number_); }
  void wait() override { engine_->wait(number_); }
  bool is_done() override { return engine_->poll(number_); }

 private:
  std::shared_ptr<Engine> engine_;
  std::uint64_t number_;
};

class MpiCollective : public Collective {
 public:
  MpiCollective(Session& session, const Options& options)
      : engine_(std::make_shared<Engine>(session, options)) {}
  int rank() const override { return engine_->rank(); }
  int size() const override { return engine_->size(); }

 private:
  Pending start(const Operation& operation) override {
    return Pending(std::make_unique<MpiWork>(engine_, engine_->begin(operation)));
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Collective> make(Session& session, const Options& options) {
  return std::make_unique<MpiCollective>(session, options);
}

}  // namespace fedstill::mpi
