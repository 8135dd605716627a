#include "transport/message.h"

#include <algorithm>
#include <stdexcept>

namespace fedstill {

MessageKind kind_of(const Message& message) {
  // The alternatives stand in the order of their wire kinds, which begin at one.
  return static_cast<MessageKind>(message.index() + 1);
}

std::string_view name(MessageKind kind) {
  switch (kind) {
    case MessageKind::kJoin:
      return "Join";
    case MessageKind::kRoundPlan:
      return "RoundPlan";
    case MessageKind::kUpload:
      return "Upload";
    case MessageKind::kAcknowledgement:
      return "Acknowledgement";
    case MessageKind::kBundle:
      return "Bundle";
    case MessageKind::kHello:
      return "Hello";
    case MessageKind::kWelcome:
      return "Welcome";
    case MessageKind::kBlobOffer:
      return "BlobOffer";
    case MessageKind::kBlobRequest:
      return "BlobRequest";
    case MessageKind::kBlobChunk:
      return "BlobChunk";
    case MessageKind::kBlobProgress:
      return "BlobProgress";
    case MessageKind::kHeartbeat:
      return "Heartbeat";
    case MessageKind::kPredictions:
      return "Predictions";
    case MessageKind::kStatusRequest:
      return "StatusRequest";
    case MessageKind::kStatusReply:
      return "StatusReply";
    case MessageKind::kLeave:
      return "Leave";
  }
  throw std::invalid_argument("[message] unknown kind " +
                              std::to_string(static_cast<unsigned>(kind)));
}

std::string_view name(Participation mode) {
  switch (mode) {
    case Participation::kModel:
      return "model";
    case Participation::kPredictions:
      return "predictions";
  }
  throw std::invalid_argument("[message] unknown mode " +
                              std::to_string(static_cast<unsigned>(mode)));
}

BodyRange body_range(MessageKind kind, std::uint64_t max_bytes) {
  if (kind == MessageKind::kBlobChunk) return {1, max_bytes};
  if (kind == MessageKind::kStatusReply) return {0, std::min(max_bytes, kMaxStatusBytes)};
  return {};
}

}  // namespace fedstill
