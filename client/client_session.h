#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/client_store.h"
#include "model/graph.h"
#include "transport/blob_sender.h"
#include "transport/frame.h"

namespace fedstill {

// What leaves a site: one graph with the outputs "logits" and "confidence", plus how many images it
// was trained on.
struct ClientUpdate {
  Graph graph;
  std::int64_t sample_count = 0;
};

struct ClientIdentity {
  std::string name, architecture;
  std::int64_t sample_count = 0;
  Participation mode = Participation::kModel;
  std::string software = "fedstill";
};

// One participant's side of the protocol as a state machine: frames in, frames and work out; who
// runs the work and moves the bytes is decided outside. The connection may end and begin anew in
// any state. Within a round: waiting → fetching → training → uploading → uploaded; then the bundle
// is fetched, and the next plan or the end follows.
class ClientSession {
 public:
  // The store must outlive it. Throws std::invalid_argument if the coordinator could not accept
  // such a join.
  ClientSession(ClientIdentity identity, ClientStore& store);

  enum class State {
    kWaiting,    // for a plan
    kFetching,   // the pool or the student, which the work needs
    kTraining,   // run the work of plan(), then call finished()
    kUploading,  // offering, sending and claiming the update
    kUploaded,   // the update was accepted, or came too late
    kDone,       // the last bundle is here
    kRefused     // for good; see refusal()
  };
  State state() const { return state_; }

  std::vector<Frame> connected();  // what to say first
  void disconnected();
  // A frame from the coordinator: returns what to send back. Throws DecodeError on a frame that
  // does not belong here or a blob with the wrong hash: end the connection and begin anew;
  // std::system_error where the store cannot write.
  std::vector<Frame> receive(const Frame& frame);
  // The update's next chunk, if one is to be sent now.
  std::optional<Frame> next_chunk(std::size_t max_bytes = kChunkBytes);
  // The update of plan(): copied into the store, so that it is never made again. std::logic_error
  // outside kTraining.
  std::vector<Frame> finished(const std::filesystem::path& update);
  // Before it, signs of life do not belong.
  bool is_greeted() const { return line_ == Line::kOpen; }
  // The coordinator could not do its part; ask again after a while.
  bool wants_retry() const { return wants_retry_; }
  std::vector<Frame> retry();
  // While it fetches what the work needs it says so instead.
  Frame heartbeat(const std::string& phase, std::uint64_t done, std::uint64_t total) const;

  const ClientStore& store() const { return store_; }
  const RoundPlan& plan() const { return plan_; }
  std::uint32_t heartbeat_seconds() const { return welcome_.heartbeat_seconds; }
  const Welcome& welcome() const { return welcome_; }
  const std::string& refusal() const { return refusal_; }  // the reason, once kRefused

 private:
  enum class Line { kDown, kGreeting, kOpen };
  struct Wanted {
    BlobInfo blob;
    std::optional<Bundle> bundle;  // or else what the plan needs
  };

  std::vector<Frame> receive_welcome(const Welcome& welcome);
  std::vector<Frame> receive_plan(const RoundPlan& plan);
  std::vector<Frame> receive_acknowledgement(const Acknowledgement& acknowledgement);
  std::vector<Frame> receive_request(const BlobRequest& request);
  std::vector<Frame> receive_progress(const BlobProgress& progress);
  std::vector<Frame> receive_bundle(const Bundle& bundle);
  std::vector<Frame> receive_chunk(const BlobChunk& chunk, std::span<const std::byte> bytes);
  std::vector<Frame> go_on();  // with fetching, and with the work once it has what it needs
  std::vector<Frame> fetch_next();
  Frame join() const;
  std::vector<Frame> offer() const;
  Frame claim() const;
  void take_bundle(const Bundle& bundle);
  void refuse(const std::string& reason);

  ClientIdentity identity_;
  ClientStore& store_;
  State state_ = State::kWaiting;
  Line line_ = Line::kDown;
  Welcome welcome_;
  RoundPlan plan_;
  BlobInfo update_;
  std::optional<BlobSender> sender_;
  std::deque<Wanted> wanted_;  // the first is on its way
  std::optional<BlobWriter> writer_;
  bool is_joined_ = false;  // on this connection: the coordinator tells it the news
  bool wants_retry_ = false;
  std::string refusal_;
};

}  // namespace fedstill
