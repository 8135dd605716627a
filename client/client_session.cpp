#include "client/client_session.h"

#include <stdexcept>
#include <string_view>
#include <utility>

#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

std::string_view to_text(ClientSession::State state) {
  using State = ClientSession::State;
  switch (state) {
    case State::kJoining:
      return "joining";
    case State::kWaitingForPlan:
      return "waiting for a plan";
    case State::kTraining:
      return "training";
    case State::kUploading:
      return "uploading";
    case State::kWaitingForBundle:
      return "waiting for the bundle";
    case State::kDone:
      return "done";
    case State::kRefused:
      return "refused";
  }
  throw std::logic_error("[client] unknown state");
}

void expect_round(std::uint32_t found, std::uint32_t expected) {
  if (found == expected) return;
  throw DecodeError("[client] round: found " + std::to_string(found) + ", expected " +
                    std::to_string(expected));
}

}  // namespace

ClientSession::ClientSession(std::string name, std::string architecture, std::int64_t sample_count)
    : name_(std::move(name)), architecture_(std::move(architecture)), sample_count_(sample_count) {
  const std::string problem = find_problem(Join{name_, architecture_, sample_count_});
  if (!problem.empty()) throw std::invalid_argument("[client] " + problem);
}

Frame ClientSession::start() {
  if (state_ != State::kJoining) throw std::logic_error("[client] started twice");
  state_ = State::kWaitingForPlan;
  return {Join{name_, architecture_, sample_count_}, {}};
}

std::vector<Frame> ClientSession::receive(const Frame& frame) {
  const auto* plan = std::get_if<RoundPlan>(&frame.message);
  const auto* acknowledgement = std::get_if<Acknowledgement>(&frame.message);
  const auto* bundle = std::get_if<Bundle>(&frame.message);
  const bool waits_for_answer = state_ == State::kWaitingForPlan || state_ == State::kUploading;
  if (plan != nullptr && state_ == State::kWaitingForPlan) {
    receive_plan(*plan);
    return {};
  }
  if (acknowledgement != nullptr && waits_for_answer) {
    receive_acknowledgement(*acknowledgement);
    return {};
  }
  if (bundle != nullptr && state_ == State::kWaitingForBundle) {
    return {receive_bundle(*bundle, frame.body)};
  }
  throw DecodeError("[client] " + std::string(fedstill::name(kind_of(frame.message))) +
                    " does not belong here: the client is " + std::string(to_text(state_)));
}

Frame ClientSession::finished(const ClientUpdate& update) {
  if (state_ != State::kTraining) {
    throw std::logic_error("[client] an update while " + std::string(to_text(state_)));
  }
  if (update.sample_count != sample_count_) {
    throw std::invalid_argument("[client] sample_count: found " +
                                std::to_string(update.sample_count) + ", the join said " +
                                std::to_string(sample_count_));
  }
  std::vector<std::byte> body = encode_model(update.graph);
  uploaded_ = sha256_hex(body);
  state_ = State::kUploading;
  return {Upload{plan_.round, name_, uploaded_, sample_count_}, std::move(body)};
}

void ClientSession::receive_plan(const RoundPlan& plan) {
  plan_ = plan;
  state_ = State::kTraining;
}

void ClientSession::receive_acknowledgement(const Acknowledgement& acknowledgement) {
  if (!acknowledgement.accepted) {
    refusal_ = acknowledgement.reason;
    state_ = State::kRefused;
    return;
  }
  if (state_ != State::kUploading) {
    throw DecodeError("[client] a join is accepted with a plan, not with an acknowledgement");
  }
  expect_round(acknowledgement.round, plan_.round);
  if (acknowledgement.sha256 != uploaded_) {
    throw DecodeError("[client] acknowledged upload: found " + acknowledgement.sha256 +
                      ", expected " + uploaded_);
  }
  state_ = State::kWaitingForBundle;
}

Frame ClientSession::receive_bundle(const Bundle& bundle, const std::vector<std::byte>& body) {
  expect_round(bundle.round, plan_.round);
  if (const std::string found = sha256_hex(body); found != bundle.sha256) {
    throw DecodeError("[client] bundle hash: found " + found + ", expected " + bundle.sha256);
  }
  bundle_ = body;
  state_ = State::kDone;
  return {Acknowledgement{plan_.round, bundle.sha256, true, ""}, {}};
}

}  // namespace fedstill
