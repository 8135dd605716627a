#include "collective/mpi/engine.h"

#include "collective/mpi/back_off.h"
#include "collective/mpi/check.h"

namespace fedstill::mpi {
namespace {

constexpr std::size_t kWindow = 3;  // segments under way: one reduces while others travel

}  // namespace

Communicator::Communicator(int group) {
  int rank = 0;
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  check(MPI_Comm_split(MPI_COMM_WORLD, group, rank, &comm_), "MPI_Comm_split");
  check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

Engine::Engine(Session& session, Engines& engines, const Options& options)
    : session_(session), engines_(engines), options_(options), comm_(options.group) {
  const std::lock_guard lock(engines_.mutex);
  engines_.all.push_back(this);
}

Engine::~Engine() {
  {
    const std::lock_guard lock(engines_.mutex);
    std::erase(engines_.all, this);
  }
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
  const std::lock_guard lock(engines_.mutex);
  throw_if_failed();
  tasks_.push_back({operation, Layout(operation, size())});
  progress();
  throw_if_failed();
  return begun_++;
}

bool Engine::progress() {
  if (!failure_.empty()) return false;
  try {
    const bool has_begun = fill_window(), has_moved = advance_all();
    retire();
    return has_begun || has_moved;
  } catch (const CollectiveError& error) {
    fail(error.what());
    return true;
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
  BackOff own, any;
  std::unique_lock lock(engines_.mutex);
  while (!is_done(number)) {
    throw_if_failed();
    for (Engine* engine : engines_.all) {
      if (!engine->progress()) continue;
      any.news();
      if (engine == this) own.news();
    }
    if (is_done(number)) return;
    if (own.since_news() > options_.deadline) {
      fail("[mpi] rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ": " +
           describe(tasks_.front().operation) + " (operation " + std::to_string(done_) +
           ") saw no progress for " + std::to_string(options_.deadline.count()) +
           " ms: another rank is late, gone or elsewhere");
    }
    lock.unlock();
    any.pause();
    lock.lock();
  }
}

bool Engine::poll(std::uint64_t number) {
  const std::lock_guard lock(engines_.mutex);
  if (is_done(number)) return true;
  for (Engine* engine : engines_.all) engine->progress();
  if (!is_done(number)) throw_if_failed();
  return is_done(number);
}

void Engine::give_up(std::uint64_t number) {
  const std::lock_guard lock(engines_.mutex);
  if (!is_done(number))
    fail("[mpi] operation " + std::to_string(number) + " was given up by this rank");
}

}  // namespace fedstill::mpi
