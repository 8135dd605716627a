#pragma once

#include <memory>

#include "collective/collective.h"

// Ranks that are processes started by mpirun or Slurm.
namespace fedstill::mpi {

bool is_available();  // was this program built with MPI?

struct Engines;
struct Options;

// This process's place in the job: initialises MPI and finalises it. One at a time and one per
// process for ever, as MPI wants it. A session left by an exception, or after a collective failed,
// is not finalised, which would wait for the others: once this process has ended, mpirun ends them.
// Throws CollectiveError where MPI is absent or refuses. Started without mpirun it is a job of one.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const;
  int size() const;
  void abandon();  // the ranks disagree: do not finalise

 private:
  friend std::unique_ptr<Collective> make(Session&, const Options&);

  std::shared_ptr<Engines> engines_;  // of its collectives
  [[maybe_unused]] int exceptions_;   // under way when the session began
  bool abandoned_ = false;
};

struct Options : CollectiveOptions {
  int group = 0;  // Ranks that name the same group form one collective, ranked as in the session.
};

// Every rank of the session must call this, in the same order; each call makes communicators of its
// own, so that no two collectives and no other user of MPI ever meet. Whoever waits in one moves
// the messages of all, so each rank may wait for them in an order of its own; a waiting rank sleeps
// most of the time. Requires: the session outlives the collective.
std::unique_ptr<Collective> make(Session& session, const Options& options = {});

}  // namespace fedstill::mpi
