#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "aggregation/teacher_pass.h"
#include "coordinator/round.h"
#include "coordinator/store.h"
#include "coordinator/update_check.h"
#include "transport/frame.h"

namespace fedstill {

struct CoordinatorOptions {
  RoundOptions round;
  RoundPlan plan;            // sent to every client that joins
  ImageShape image;          // an update must have this input…
  std::int64_t classes = 0;  // …this many logits
  std::int64_t max_sample_count = 100'000'000;
  UpdateLimits update;
};

// The coordinator's side of the protocol: every frame is checked (who, which round, hash, shapes,
// limits), recorded durably, then answered. Single-threaded.
class Coordinator {
 public:
  // Takes up what the store already holds of this round; its deadline begins anew. The store must
  // outlive it. Throws std::invalid_argument (contradictory options), DecodeError (a stored row or
  // blob is damaged).
  Coordinator(const CoordinatorOptions& options, Store& store, Instant now);

  // The answers to this client; bad content is answered with a refusal, never thrown. Throws only
  // what the store throws; the event did not happen then.
  std::vector<Frame> receive(const Frame& frame, Instant now);
  void leave(const std::string& client, Instant now);  // its connection is gone
  void tick(Instant now);                              // lets the deadline act

  const Round& round() const { return round_; }
  std::vector<Teacher> teachers() const;  // of the accepted uploads, by client name

 private:
  std::vector<Frame> accept_join(const Join& join, Instant now);
  Frame accept_upload(const Upload& upload, std::span<const std::byte> body, Instant now);
  std::string find_mismatch(const Upload& upload, std::span<const std::byte> body) const;
  Frame answer(bool accepted, const std::string& sha256, const std::string& reason) const;
  void restore(Instant now);
  void record_outcome();

  CoordinatorOptions options_;
  Store& store_;
  Round round_;
  std::map<std::string, StoredJoin> joins_;  // by client name
  bool outcome_recorded_ = false;
};

}  // namespace fedstill
