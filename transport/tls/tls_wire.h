#pragma once

#include <string>
#include <vector>

#include "transport/tls/openssl_handles.h"
#include "transport/tls/tls_context.h"

namespace fedstill {

// TLS straight on the socket. Reading takes as many records as have arrived per system call; what
// is written is collected, so that many records leave in one.
class TlsWire : public Wire {
 public:
  TlsWire(SSL_CTX* context, int socket, Admission admission);

  Need handshake() override;
  Progress read(std::span<std::byte> out) override;
  Progress write(const std::array<std::span<const std::byte>, 2>& pieces) override;
  Need flush() override;
  void end() noexcept override;
  PeerIdentity peer() const override;

  SSL* ssl() { return ssl_.get(); }
  const Admission& admission() const { return admission_; }
  void note_refusal(const std::string& why) { refusal_ = why; }

 private:
  Need need_after(int result);  // throws WireError for anything but "later"
  void answer_message();
  std::size_t encrypt(std::span<const std::byte> bytes);

  const int socket_;
  const Admission admission_;       // its context may be gone
  std::vector<std::byte> records_;  // encrypted, not yet with the socket…
  std::size_t sent_ = 0;            // …but for this many
  int messages_ = 0;                // of the handshake kind, since the last data
  std::string refusal_;             // why the peer was not accepted
  SslHandle ssl_;                   // last: writes to records_ until the end
};

}  // namespace fedstill
