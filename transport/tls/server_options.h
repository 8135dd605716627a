#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "transport/tls/credentials.h"
#include "transport/tls/dial.h"
#include "transport/tls/endpoint.h"
#include "transport/tls/refusals.h"

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
  std::uint64_t bytes_per_second = 0;  // of each connection, each way; 0: no limit
  // Read from each connection; 0: no limit. Chunks of a mebibyte are more than any line carries
  // then.
  std::uint64_t frames_per_second = 2'000;
  // By address: a tenth of a core's time for each that does nothing else. By role and name:
  // requests that are refused (Server::note_refusal) and bytes that are no frames. Who is shut out
  // is disconnected, and its dial-ins are refused.
  RefusalLimits failed_handshakes{.most = 1'000}, refused_requests{.most = 100};
  FrameLimits frame = kNetworkFrameLimits;
};

// Text files, one entry a line, '#' begins a comment; empty path: no such list. Read again when
// they change; a file that cannot be read leaves the list as it was, with a warning. Peers that are
// connected and may no longer be are closed. Replace the files by renaming.
struct AccessFiles {
  std::filesystem::path revoked;  // fingerprints of certificates that are refused
  std::filesystem::path allowed;  // names; all others but administrators are refused
  std::chrono::milliseconds look_every{1'000};
};

struct ServerOptions {
  Endpoint listen{"127.0.0.1", 0};  // port 0: any
  // None: no encryption, anybody comes in, without a name. The files are read again when they
  // change, for the connections to come; as long as they do not fit, the last that did stay.
  std::optional<Credentials> credentials;
  std::vector<std::string> roles{"client", "admin"};  // who may come in
  AccessFiles access;
  // Whose certificate expires while it is connected is closed.
  std::function<std::chrono::system_clock::time_point()> wall = std::chrono::system_clock::now;
  ServerLimits limits;
  unsigned threads = 2;  // that encrypt and move bytes
};

void check(const ServerLimits& limits);  // std::invalid_argument for limits that contradict

}  // namespace fedstill
