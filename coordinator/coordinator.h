#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/coordinator_options.h"
#include "coordinator/incoming.h"
#include "coordinator/reaction.h"
#include "coordinator/round.h"
#include "coordinator/store.h"
#include "data/predictions_file.h"
#include "transport/frame.h"

namespace fedstill {

struct AcceptedUpdate {
  std::string client, sha256;
  std::filesystem::path file;
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
  // and what the store throws: the event did not happen. Of a peer that waits for an errand's
  // answer no other frame is to come. An update claimed in time counts, however long the check.
  [[nodiscard]] Reaction receive(const std::string& peer, Frame frame, Instant now);
  void leave(const std::string& peer, Instant now);  // its connection is gone
  void tick(Instant now);
  void record_time();  // that the round is still open: throws where nothing can be recorded

  // The round's results, their blobs in the store; begins the next round if there is one, see
  // news(). The errand removes what nobody needs. std::logic_error unless the round is closed.
  [[nodiscard]] Reaction publish(const BlobInfo& bundle, const BlobInfo& student, Instant now);
  std::vector<Frame> news() const;
  bool finished() const;  // the last round was published

  // By the administrator; std::invalid_argument for a client that never joined.
  void exclude(const std::string& client, const std::string& reason, Instant now);
  void readmit(const std::string& client, Instant now);
  void reopen(Instant now);  // a failed round

  const Round& round() const { return round_; }
  const std::map<std::string, StoredJoin>& joins() const { return joins_; }
  const std::optional<StoredResult>& last_result() const { return last_result_; }
  const std::map<std::string, std::string>& exclusions() const { return exclusions_; }
  const std::set<std::string>& delivered() const { return delivered_; }  // have the last bundle
  std::vector<AcceptedUpdate> updates() const;  // of the round, by client name
  PredictionsShape pool() const;                // what predictions must be about

 private:
  Reaction receive_work(const std::string& peer, Frame frame, Instant now, Instant real_now);
  Reaction accept_join(const std::string& peer, const Join& join, Instant now);
  Reaction accept_offer(const std::string& peer, const BlobOffer& offer, Instant now);
  Reaction accept_chunk(const std::string& peer, const BlobChunk& chunk,
                        std::vector<std::byte> body);
  std::optional<std::uint64_t> take(const std::string& peer,
                                    const std::shared_future<Written>& result);
  Reaction accept_claim(const std::string& peer, const StoredUpload& claim, Instant now);
  Reaction conclude(const std::string& peer, const std::shared_future<std::string>& problem,
                    Instant now);
  Reaction accept_request(const std::string& peer, const BlobRequest& request) const;
  Reaction accept(const StoredUpload& claim) const;
  Reaction refuse(const std::string& sha256, Refusal refusal, const std::string& reason) const;
  Reaction refuse(const std::string& sha256, Round::Decision decision) const;
  Reaction refuse_damaged(const std::string& sha256) const;
  std::string find_join_problem(const std::string& peer, const Join& join) const;
  std::string find_change_problem(const StoredJoin& first, Instant now) const;
  void record(const StoredJoin& join, Instant now);
  std::string find_mismatch(const std::string& peer, const StoredUpload& claim) const;
  std::string find_content_problem(const std::filesystem::path& file, Participation mode) const;
  std::uint64_t max_bytes(Participation mode) const;
  bool is_public(const std::string& sha256) const;
  void forget_incoming(const std::string& peer);
  void forget_blob(const std::string& sha256);
  Instant clock(Instant now) const;
  RoundPlan plan() const;
  std::uint32_t last_round() const { return options_.plan.round + options_.plan.rounds - 1; }
  void restore(Instant now);
  void restore_uploads(Instant now);
  void admit_new_members(Instant now);
  Reaction tidy_blobs() const;
  void note_delivery(const std::string& peer, const std::string& sha256);
  void record_outcome();
  void note_time();
  // A claim whose update is being checked, and whether it came before the deadline.
  struct Check {
    StoredUpload claim;
    Incoming::Handle blob;
    bool in_time = true;
  };
  CoordinatorOptions options_;
  Store& store_;
  Round round_;
  Incoming incoming_;
  std::map<std::string, Check> checks_;            // by client name
  std::map<std::string, StoredJoin> joins_;        // by client name
  std::map<std::string, std::string> exclusions_;  // client → reason
  std::set<std::string> waiting_;                  // connected, for the next round
  std::map<std::string, Instant> heard_;  // who joined and has not taken its leave: when last
  std::optional<StoredResult> last_result_, result_before_;
  std::set<std::string> delivered_;
  bool outcome_recorded_ = false;
  std::chrono::milliseconds noted_{0};  // of round_.open_for()
};

}  // namespace fedstill
