#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fedstill {

// The closed set of control messages. Tensors never travel in them: an upload or a bundle is
// announced here and follows as the frame's body. Wire kinds are persisted; never renumber. Fields
// are only appended, gated by version. What every field must hold is checked on both sides
// (docs/protocol.md): a hash is 64 lower-case hex digits, free text is printable UTF-8.
struct Join {                     // client → coordinator
  std::string client;             // who: [a-zA-Z0-9._-]{1,64}, not beginning with a dot
  std::string architecture;       // free text of at most 64 bytes, for people
  std::int64_t sample_count = 0;  // ≥ 0
  bool operator==(const Join&) const = default;
};
struct RoundPlan {  // coordinator → client
  std::string job;  // hash of the effective job
  std::uint32_t round = 0;
  std::string pool_hash;
  std::int64_t classes = 0;  // ≥ 1
  bool operator==(const RoundPlan&) const = default;
};
struct Upload {  // client → coordinator; the body is the model file
  std::uint32_t round = 0;
  std::string client;
  std::string sha256;  // of the body
  std::int64_t sample_count = 0;
  bool operator==(const Upload&) const = default;
};
struct Acknowledgement {  // either way
  std::uint32_t round = 0;
  std::string sha256;  // of what was received, or empty
  bool accepted = false;
  std::string reason;  // why not: free text of at most 1,024 bytes
  bool operator==(const Acknowledgement&) const = default;
};
struct Bundle {  // coordinator → client; the body is the bundle file
  std::uint32_t round = 0;
  std::string sha256;
  bool operator==(const Bundle&) const = default;
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
std::string_view name(MessageKind kind);  // "Join", …
bool carries_body(MessageKind kind);      // Upload and Bundle

// What is wrong with the first field out of its range, or nothing.
std::string find_problem(const Message& message);

// Makes any bytes valid free text: control characters and damaged UTF-8 become '?', the rest is cut
// at a character boundary.
std::string to_free_text(std::string_view text, std::size_t max_bytes = 1024);

bool is_sha256(std::string_view text);  // 64 lower-case hex digits

}  // namespace fedstill
