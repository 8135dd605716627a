#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "transport/tls/credentials.h"
#include "transport/tls/dial.h"
#include "transport/tls/endpoint.h"

namespace fedstill {

struct ServerLimits {
  std::size_t max_connections = 4096;  // verified ones
  // When all are taken the oldest gives way: honest ones take milliseconds, not seconds.
  std::size_t max_handshakes = 256;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds idle_timeout{180'000};  // without a single byte
  // While a frame is on its way, in or out, at least this much passes in each window of time.
  std::chrono::milliseconds progress_window{20'000};
  std::uint64_t min_bytes_per_second = 256;
  std::chrono::milliseconds close_timeout{5'000};
  std::size_t max_outbox_bytes = std::size_t{16} << 20;  // one larger frame may pass alone
  std::uint64_t bytes_per_second = 0;   // of each connection, each way; 0: no limit
  std::uint64_t frames_per_second = 0;  // read from each connection; 0: no limit
  FrameLimits frame = kNetworkFrameLimits;
};

// Text files, one entry a line, '#' begins a comment; empty path: no such list. Read again when
// they change; a file that cannot be read leaves the list as it was, with a warning. Peers that are
// connected and may no longer be are closed. Replace the files by renaming.
struct AccessFiles {
  std::filesystem::path revoked;  // fingerprints of certificates that are refused
  std::filesystem::path allowed;  // names; all others are refused
  std::chrono::milliseconds look_every{1'000};
};

struct ServerOptions {
  Endpoint listen{"127.0.0.1", 0};         // port 0: any
  std::optional<Credentials> credentials;  // none: no encryption, anybody comes in, without a name
  std::vector<std::string> roles{"client", "admin", "coordinator"};  // who may come in
  AccessFiles access;
  ServerLimits limits;
  unsigned threads = 2;  // that encrypt and move bytes
};

void check(const ServerLimits& limits);  // std::invalid_argument for limits that contradict

}  // namespace fedstill
