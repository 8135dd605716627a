#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "transport/channel.h"
#include "transport/tls/credentials.h"
#include "transport/tls/endpoint.h"

namespace fedstill {

// What travels in one frame over a network; larger things go in chunks.
inline constexpr FrameLimits kNetworkFrameLimits{.max_metadata_bytes = 64 * 1024,
                                                 .max_body_bytes = 4 * 1024 * 1024};

// Which step of the way to the server failed.
class DialError : public std::runtime_error {
 public:
  enum class Step { kName, kConnect, kProxy, kTls };
  DialError(Step step, const std::string& what) : std::runtime_error(what), step_(step) {}
  Step step() const { return step_; }

 private:
  Step step_;
};

// The server completed its part of the handshake with a certificate that is not accepted: of
// another authority, for another name or role, revoked or expired. Of another kTls (cut, silent, no
// TLS) the next try may end better.
class UntrustedServer : public DialError {
 public:
  explicit UntrustedServer(const std::string& what) : DialError(Step::kTls, what) {}
};

struct DialOptions {
  std::chrono::milliseconds connect_timeout{15'000};  // TCP, proxy and handshake together
  std::chrono::milliseconds send_timeout{60'000};     // without the peer taking a single byte
  std::string server_name;                  // in its certificate; empty: the endpoint's host
  std::string server_role = "coordinator";  // in its certificate
  // Fingerprints of certificates that are refused, as AccessFiles::revoked; read at every dial()
  // and again while connected, by receive(), when the file changed: such a server is left at once.
  std::filesystem::path revoked;
  std::optional<Endpoint> proxy;       // HTTP CONNECT
  std::string proxy_authorization;     // "user:password", sent as Basic
  std::uint64_t bytes_per_second = 0;  // sent and received, each; 0: no limit
  FrameLimits limits = kNetworkFrameLimits;
};

// A channel to another machine. As the contract of Channel, and: several threads may send.
class NetworkChannel : public Channel {
 public:
  virtual const PeerIdentity& peer() const = 0;
};

// Connects, shows the certificate of `credentials`, and accepts only a server whose certificate is
// from the authority, made out to the server name, of the server role and not revoked. Whether the
// server accepts *us* shows with its first frame: a refusal is the PeerRefused (a ChannelClosed,
// transport/peer_refused.h) of the first receive(). Throws CredentialError, DialError. The name
// look-up has the system's own timeout.
std::unique_ptr<NetworkChannel> dial(const Endpoint& server, const Credentials& credentials,
                                     const DialOptions& options = {});

// Without encryption or identities: for tests, benchmarks and a tunnel of one's own.
std::unique_ptr<NetworkChannel> dial_plain(const Endpoint& server, const DialOptions& options = {});

}  // namespace fedstill
