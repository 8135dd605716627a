#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "transport/tls/dial.h"
#include "transport/tls/frame_reader.h"
#include "transport/tls/open_socket.h"
#include "transport/tls/pacing.h"
#include "transport/tls/tls_context.h"

namespace fedstill {

// A channel over a socket and its wire, for threads that may wait.
class SocketChannel : public NetworkChannel {
 public:
  // Requires: the wire's handshake is complete. Takes over the socket; keeps the context alive.
  SocketChannel(OpenSocket socket, std::unique_ptr<TlsContext> context, std::unique_ptr<Wire> wire,
                PeerIdentity peer, const DialOptions& options);
  ~SocketChannel() override;

  void send(const Frame& frame) override;
  std::optional<Frame> receive(std::chrono::milliseconds wait) override;
  std::uint64_t received_bytes() const override { return received_bytes_; }
  void close() override;
  const PeerIdentity& peer() const override { return peer_; }

  // As they are, in one piece with no other sender's bytes between.
  void send_bytes(std::span<const std::byte> head, std::span<const std::byte> body);

 private:
  std::optional<Frame> read_some(Need& need);
  void shut(const std::string& why, const std::string& refusal = {});
  void throw_if_closed();
  [[noreturn]] void throw_closed() const;
  std::string describe(const std::string& why) const;
  void wait_for_tokens(TokenBucket& bucket, SteadyTime until);
  void linger() noexcept;

  OpenSocket socket_;
  std::unique_ptr<TlsContext> context_;
  std::unique_ptr<Wire> wire_;
  std::mutex wire_mutex_;     // held for one call that does not wait
  std::mutex sender_mutex_;   // held for a whole frame
  std::string send_problem_;  // under sender_mutex_: half a frame may be on the wire
  FrameReader reader_;
  TokenBucket incoming_, outgoing_;
  std::uint64_t received_bytes_ = 0;
  const PeerIdentity peer_;
  const DialOptions options_;
  std::mutex state_mutex_;
  std::condition_variable closed_changed_;
  bool is_closed_ = false;
  std::string why_closed_, refusal_;  // the second where the peer does not accept who we are
};

}  // namespace fedstill
