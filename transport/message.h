#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace fedstill {

// The closed set of control messages. Tensors never travel in them: an upload or a bundle is
// announced here and follows as the frame's body. Wire kinds are persisted; never renumber. Fields
// are only appended, gated by version.
struct Join {          // client → coordinator
  std::string client;  // who: [a-zA-Z0-9._-]{1,64}
  std::string architecture;
  std::int64_t sample_count = 0;
};
struct RoundPlan {  // coordinator → client
  std::string job;  // hash of the effective job
  std::uint32_t round = 0;
  std::string pool_hash;
  std::int64_t classes = 0;
};
struct Upload {  // client → coordinator; the body is the model file
  std::uint32_t round = 0;
  std::string client;
  std::string sha256;  // of the body
  std::int64_t sample_count = 0;
};
struct Acknowledgement {  // either way
  std::uint32_t round = 0;
  std::string sha256;  // of what was received, or empty
  bool accepted = false;
  std::string reason;  // why not
};
struct Bundle {  // coordinator → client; the body is the bundle file
  std::uint32_t round = 0;
  std::string sha256;
};
using Message = std::variant<Join, RoundPlan, Upload, Acknowledgement, Bundle>;

enum class MessageKind : std::uint16_t {
  kJoin = 1,
  kRoundPlan = 2,
  kUpload = 3,
  kAcknowledgement = 4,
  kBundle = 5
};
MessageKind kind_of(const Message& message);

}  // namespace fedstill
