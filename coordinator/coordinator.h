#pragma once

#include <string>
#include <vector>

#include "aggregation/teacher_pass.h"
#include "coordinator/round.h"
#include "coordinator/store.h"
#include "transport/frame.h"

namespace fedstill {

struct CoordinatorOptions {
  RoundOptions round;
  RoundPlan plan;            // sent to every client that joins
  ImageShape image;          // an update must have this input…
  std::int64_t classes = 0;  // …this many logits
  std::int64_t max_sample_count = 100'000'000;
};

// The coordinator's side of the protocol: every frame is checked (who, which round, hash, shapes,
// limits), recorded durably, then answered. Single-threaded.
class Coordinator {
 public:
  Coordinator(const CoordinatorOptions& options, Store& store,
              Instant now);  // takes up what the store already holds of this round

  std::vector<Frame> receive(const Frame& frame,
                             Instant now);  // the answers to this client; bad content is answered
                                            // with a refusal, never thrown
  const Round& round() const { return round_; }
  std::vector<Teacher> teachers() const;  // of the accepted uploads, by client name

 private:
  Frame accept_upload(const Upload& upload, std::span<const std::byte> body, Instant now);
  CoordinatorOptions options_;
  Store& store_;
  Round round_;
};

}  // namespace fedstill
