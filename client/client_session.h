#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/graph.h"
#include "transport/frame.h"

namespace fedstill {

// What leaves a site: one graph with the outputs "logits" and "confidence", plus how many images it
// was trained on.
struct ClientUpdate {
  Graph graph;
  std::int64_t sample_count = 0;
};

// One participant's side of the protocol as a state machine: frames in, frames and work out; who
// runs the work is decided outside.
//   joining → waiting for a plan → training → uploading → waiting for the bundle → done
class ClientSession {
 public:
  // Throws std::invalid_argument if the coordinator could not accept such a join.
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

  Frame start();  // the join; std::logic_error if it was sent before
  // A frame from the coordinator: returns what to send back. Entering kTraining means: run the
  // work, then call finished(). Throws DecodeError, and changes nothing, on a frame that does not
  // belong in the state, another round or a bundle whose hash is wrong.
  std::vector<Frame> receive(const Frame& frame);
  // The upload. Throws std::logic_error outside kTraining, std::invalid_argument if the sample
  // count is not the one of the join.
  Frame finished(const ClientUpdate& update);

  const RoundPlan& plan() const { return plan_; }
  const std::vector<std::byte>& bundle() const { return bundle_; }  // verified bytes, once kDone
  const std::string& refusal() const { return refusal_; }           // the reason, once kRefused

 private:
  void receive_plan(const RoundPlan& plan);
  void receive_acknowledgement(const Acknowledgement& acknowledgement);
  Frame receive_bundle(const Bundle& bundle, const std::vector<std::byte>& body);

  std::string name_, architecture_;
  std::int64_t sample_count_;
  State state_ = State::kJoining;
  RoundPlan plan_;
  std::string uploaded_;
  std::vector<std::byte> bundle_;
  std::string refusal_;
};

}  // namespace fedstill
