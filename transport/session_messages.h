#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fedstill {

// Who talks, before any round is spoken of. The frames of these two keep protocol version 1 for
// ever, so that any two versions can tell each other that they do not fit.
struct Hello {  // the side that dialled, first of all
  std::uint16_t oldest_version = 1, newest_version = 1;
  std::string software;                   // free text of at most 64 bytes, for people
  std::vector<std::string> capabilities;  // at most 16 different names
  bool operator==(const Hello&) const = default;
};
struct Welcome {  // the answer
  std::uint16_t version = 1;
  std::string software;
  std::vector<std::string> capabilities;  // of those said hello with, the ones to be used
  std::uint32_t heartbeat_seconds = 15;   // how often a side with nothing to say says so; ≥ 1
  std::int64_t unix_time = 0;             // so that a wrong clock is noticed; ≥ 0
  bool operator==(const Welcome&) const = default;
};

// Administration, for peers with that role.
struct StatusRequest {
  std::string what;      // a name: "status", "rounds", "clients", "stop", …
  std::string argument;  // free text of at most 64 bytes
  bool operator==(const StatusRequest&) const = default;
};
struct StatusReply {  // the body is JSON of at most kMaxStatusBytes
  bool operator==(const StatusReply&) const = default;
};
inline constexpr std::uint64_t kMaxStatusBytes = std::uint64_t{1} << 20;

}  // namespace fedstill
