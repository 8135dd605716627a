#pragma once

#include <mpi.h>

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "collective/mpi/mpi.h"
#include "collective/mpi/transfer.h"

namespace fedstill::mpi {

// The ranks of one group, apart from all other messages.
class Communicator {
 public:
  explicit Communicator(int group);  // ranks that name the same meet in it
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

class Engine;

struct Engines {
  std::mutex mutex;  // of all of them
  std::vector<Engine*> all;
};

// Operations wait in a queue; the segments at its head are under way. Everything moves inside calls
// of this class: there is no thread of its own. So whoever waits moves what is under way in all of
// the session's engines, as another rank may wait for those first.
class Engine {
 public:
  Engine(Session& session, Engines& engines, const Options& options);  // which outlive it
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }

  std::uint64_t begin(const Operation& operation);  // its number
  void wait(std::uint64_t number);                  // throws CollectiveError, as all of these
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
  bool progress();  // true if something moved; a failure is kept for whoever uses this engine
  bool fill_window();
  bool advance_all();
  void retire();

  Session& session_;
  Engines& engines_;
  const Options options_;
  Communicator comm_;
  std::deque<Task> tasks_;          // not done, in order
  std::deque<Transfer> under_way_;  // of the first of them, in order
  std::uint64_t begun_ = 0, done_ = 0;
  std::string failure_;
};

}  // namespace fedstill::mpi
