#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "transport/blob_messages.h"
#include "transport/round_messages.h"
#include "transport/session_messages.h"

namespace fedstill {

// The closed set of control messages. Tensors never travel in them: an update or a bundle is a
// blob that is named here by its hash. Wire kinds are persisted; never renumber. Fields are only
// appended, gated by version. What every field must hold is checked on both sides
// (docs/protocol.md).
using Message = std::variant<Join, RoundPlan, Upload, Acknowledgement, Bundle, Hello, Welcome,
                             BlobOffer, BlobRequest, BlobChunk, BlobProgress, Heartbeat,
                             Predictions, StatusRequest, StatusReply, Leave>;

enum class MessageKind : std::uint16_t {
  kJoin = 1,
  kRoundPlan = 2,
  kUpload = 3,
  kAcknowledgement = 4,
  kBundle = 5,
  kHello = 6,
  kWelcome = 7,
  kBlobOffer = 8,
  kBlobRequest = 9,
  kBlobChunk = 10,
  kBlobProgress = 11,
  kHeartbeat = 12,
  kPredictions = 13,
  kStatusRequest = 14,
  kStatusReply = 15,
  kLeave = 16
};
MessageKind kind_of(const Message& message);
std::string_view name(MessageKind kind);  // "Join", …; std::invalid_argument

// How many bytes may follow a message as its frame's body; max_bytes where the kind sets no limit
// of its own.
struct BodyRange {
  std::uint64_t least = 0, most = 0;
};
BodyRange body_range(MessageKind kind, std::uint64_t max_bytes);

// What is wrong with the first field out of its range, or nothing.
std::string find_problem(const Message& message);

// Makes any bytes valid free text: control characters and damaged UTF-8 become '?', the rest is cut
// at a character boundary.
std::string to_free_text(std::string_view text, std::size_t max_bytes = 1024);

bool is_sha256(std::string_view text);  // 64 lower-case hex digits
bool is_name(std::string_view text);    // [a-zA-Z0-9._-]{1,64}, not beginning with a dot

}  // namespace fedstill
