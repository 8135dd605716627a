#pragma once

#include <string>
#include <variant>
#include <vector>

#include "client/confidence_head.h"
#include "client/local_training.h"
#include "transport/frame.h"

namespace fedstill {

// What leaves a site: one graph with the outputs "logits" and "confidence", plus how many images it
// was trained on.
struct ClientUpdate {
  Graph graph;
  std::int64_t sample_count = 0;
};

struct ClientTask {
  Shard shard;
  ImageView pool;  // the public unlabeled images
  std::int64_t classes = 0;
  Normalisation normalisation;
  LocalOptions local;
  HeadOptions head;
};

// The work of one round: train the body, then the head.
struct ClientResult {
  ClientUpdate update;
  FitReport training, head;
};
ClientResult run_client(const ClientTask& task, const FitOptions& run_body = {},
                        const FitOptions& run_head = {});

// One participant's side of the protocol as a state machine: frames in, frames and work out; who
// runs the work is decided outside.
//   joining → waiting for a plan → training → uploading → waiting for the bundle → done
class ClientSession {
 public:
  ClientSession(std::string name, std::string architecture, std::int64_t sample_count);

  enum class State {
    kJoining,
    kWaitingForPlan,
    kTraining,
    kUploading,
    kWaitingForBundle,
    kDone,
    kRefused
  };
  State state() const { return state_; }

  Frame start();  // the join
  // A frame from the coordinator: returns what to send back. Entering kTraining means: run the
  // work, then call finished(). Throws DecodeError on a frame that does not belong in the state or
  // a bundle whose hash is wrong.
  std::vector<Frame> receive(const Frame& frame);
  Frame finished(const ClientUpdate& update);  // the upload

  const RoundPlan& plan() const { return plan_; }
  const std::vector<std::byte>& bundle() const { return bundle_; }  // verified bytes, once kDone
  const std::string& refusal() const { return refusal_; }

 private:
  std::string name_, architecture_;
  std::int64_t sample_count_;
  State state_ = State::kJoining;
  RoundPlan plan_;
  std::string uploaded_;
  std::vector<std::byte> bundle_;
  std::string refusal_;
};

}  // namespace fedstill
