#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "coordinator/incoming.h"
#include "coordinator/round.h"
#include "coordinator/store.h"
#include "coordinator/update_check.h"
#include "data/predictions_file.h"
#include "transport/frame.h"

namespace fedstill {

struct CoordinatorOptions {
  RoundOptions round;
  RoundPlan plan;    // as sent, with number and student put in; `round` is the first of `rounds`
  ImageShape image;  // an update must have this input…
  std::int64_t classes = 0;  // …this many logits
  std::int64_t max_sample_count = 100'000'000;
  UpdateLimits update;
  std::int64_t pool_samples = 0;  // images in the pool; 0: predictions are not taken
};

// What a frame leads to, for the one who sent it.
struct Reaction {
  struct Transfer {
    std::filesystem::path file;
    BlobInfo blob;
    std::uint64_t offset = 0;
  };
  std::vector<Frame> frames;         // to be sent in order…
  std::optional<Transfer> transfer;  // …then this, chunk by chunk, instead of any before
};

struct AcceptedUpdate {
  std::string client, sha256;
  std::filesystem::path file;  // its hash was checked just now
  std::int64_t sample_count = 0;
  Participation mode = Participation::kModel;
};

// The coordinator's side of the protocol after the Welcome: every frame is checked (who, round,
// hash, shapes, limits), recorded durably, then answered. Single-threaded. A peer is who the
// transport says; a name in a message must be the same.
class Coordinator {
 public:
  // Takes up what the store holds of the last round begun, with nobody connected; time without a
  // coordinator does not count towards the deadline. An upload whose blob is gone or damaged is
  // forgotten while the round collects. The store must outlive it, and its exceptions pass. Throws
  // std::invalid_argument (contradictory options, another job), DecodeError (damaged).
  Coordinator(const CoordinatorOptions& options, Store& store, Instant now);

  // Bad content is answered with a refusal. Throws DecodeError for what must end the connection,
  // and what the store throws; the event did not happen then.
  Reaction receive(const std::string& peer, const Frame& frame, Instant now);
  void leave(const std::string& peer, Instant now);  // its connection is gone
  void tick(Instant now);

  // The round's results, their blobs in the store; begins the next round if there is one. news()
  // tells the clients. Throws std::logic_error unless the round is closed.
  void publish(const BlobInfo& bundle, const BlobInfo& student, Instant now);
  std::vector<Frame> news() const;
  bool finished() const;  // the last round was published

  // By the administrator; std::invalid_argument for a client that never joined.
  void exclude(const std::string& client, const std::string& reason, Instant now);
  void readmit(const std::string& client, Instant now);
  void reopen(Instant now);  // a failed round

  const Round& round() const { return round_; }
  const std::map<std::string, StoredJoin>& joins() const { return joins_; }
  const std::optional<StoredResult>& last_result() const { return last_result_; }
  const std::set<std::string>& delivered() const { return delivered_; }  // have the last bundle
  std::vector<AcceptedUpdate> updates() const;  // of the round, by client name
  PredictionsShape pool() const;                // what predictions must be about

 private:
  Reaction accept_join(const std::string& peer, const Join& join, Instant now);
  Reaction accept_offer(const std::string& peer, const BlobOffer& offer, Instant now);
  Reaction accept_chunk(const std::string& peer, const BlobChunk& chunk,
                        std::span<const std::byte> body, Instant now);
  Reaction accept_claim(const std::string& peer, const StoredUpload& claim, Instant now);
  Reaction accept_request(const std::string& peer, const BlobRequest& request) const;
  Reaction refuse(const std::string& sha256, Refusal refusal, const std::string& reason) const;
  Reaction refuse(const std::string& sha256, Round::Decision decision) const;
  std::string find_join_problem(const std::string& peer, const Join& join) const;
  std::string find_mismatch(const std::string& peer, const StoredUpload& claim) const;
  std::string find_content_problem(const StoredUpload& claim) const;
  std::uint64_t max_bytes(Participation mode) const;
  bool is_public(const std::string& sha256) const;
  void forget_incoming(const std::string& peer);
  RoundPlan plan() const;
  std::uint32_t last_round() const { return options_.plan.round + options_.plan.rounds - 1; }
  void restore(Instant now);
  void restore_uploads(Instant now);
  void admit_new_members(Instant now);
  void tidy_blobs();
  void record_outcome();
  void note_time();
  CoordinatorOptions options_;
  Store& store_;
  Round round_;
  Incoming incoming_;
  std::map<std::string, StoredJoin> joins_;        // by client name
  std::map<std::string, std::string> exclusions_;  // client → reason
  std::set<std::string> waiting_;                  // connected, for the next round
  std::optional<StoredResult> last_result_, result_before_;
  std::set<std::string> delivered_;
  bool outcome_recorded_ = false;
  std::chrono::milliseconds noted_{0};  // of round_.open_for()
};

}  // namespace fedstill
