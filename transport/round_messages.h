#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fedstill {

// What a round says. A hash is 64 lower-case hex digits, a name is [a-zA-Z0-9._-]{1,64} without a
// leading dot, free text is printable UTF-8; bytes of a blob are 1 to kMaxBlobBytes.

// How a client takes part. Persisted; never renumber.
enum class Participation : std::uint8_t {
  kModel = 1,       // its model and confidence head go up
  kPredictions = 2  // only what they say about the pool
};
std::string_view name(Participation mode);  // "model", "predictions"

struct Join {                     // client → coordinator
  std::string client;             // a name
  std::string architecture;       // free text of at most 64 bytes, for people
  std::int64_t sample_count = 0;  // ≥ 0
  Participation mode = Participation::kModel;
  bool operator==(const Join&) const = default;
};

inline constexpr std::uint32_t kFirstRound = 1;
struct RoundPlan {  // coordinator → client
  std::string job;  // hash of the effective job
  std::uint32_t round = 0;
  std::string pool_hash;         // names the pool; of its blob where there is one
  std::int64_t classes = 0;      // ≥ 1
  std::string settings = {};     // what a client trains with: text with line breaks, ≤ 32 KiB
  std::uint64_t pool_bytes = 0;  // of the pool's blob; 0: the client has its pool
  std::string student = {};      // blob of the last round's student, or empty
  std::uint64_t student_bytes = 0;
  std::uint32_t rounds = 1;  // of the whole job, for people
  bool operator==(const RoundPlan&) const = default;
};
// Claims the blob `sha256`, transferred before, as this client's update of the round.
struct Upload {  // client → coordinator
  std::uint32_t round = 0;
  std::string client;
  std::string sha256;
  std::int64_t sample_count = 0;
  bool operator==(const Upload&) const = default;
};
// The same for the other mode: the blob is a predictions file.
struct Predictions {  // client → coordinator
  std::uint32_t round = 0;
  std::string client;
  std::string sha256;
  std::int64_t sample_count = 0;
  bool operator==(const Predictions&) const = default;
};

// What a refusal means for the one who is refused. Persisted; never renumber.
enum class Refusal : std::uint8_t {
  kFinal = 0,    // the same again will be refused again
  kTooLate = 1,  // this round goes on without it; the conversation stays
  kTryLater = 2  // the refuser's trouble (a full disk), not the refused one's
};
struct Acknowledgement {  // either way
  std::uint32_t round = 0;
  std::string sha256;  // of what was received, or empty
  bool accepted = false;
  std::string reason;                 // why not: free text of at most 1,024 bytes
  Refusal refusal = Refusal::kFinal;  // kFinal where accepted
  bool operator==(const Acknowledgement&) const = default;
};
struct Bundle {  // coordinator → client: the round's result can be fetched
  std::uint32_t round = 0;
  std::string sha256;
  std::uint64_t bytes = 0;
  bool last = true;  // no round follows
  bool operator==(const Bundle&) const = default;
};
// A sign of life, and of progress where `done` grows. From the coordinator without a phase.
struct Heartbeat {  // either way
  std::uint32_t round = 0;
  std::string phase;  // a name, or empty
  std::uint64_t done = 0, total = 0;
  bool operator==(const Heartbeat&) const = default;
};
struct Leave {         // either way: the sender is about to close
  std::string reason;  // free text of at most 1,024 bytes
  bool operator==(const Leave&) const = default;
};

}  // namespace fedstill
