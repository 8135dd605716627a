#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/tls/objection.h"
#include "transport/tls/wire.h"

namespace fedstill {

// Whether a peer whose certificate is genuine may come in. Called during handshakes, from any
// thread.
using Admission = std::function<Objection(const PeerIdentity&)>;

// One side's keys and rules for any number of connections: TLS 1.3 only, both sides show a
// certificate, no session tickets, no early data. Immutable, may be shared between threads.
class TlsContext {
 public:
  TlsContext(const Credentials& credentials, Admission admission);  // CredentialError
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // The wires borrow the socket and may outlive the context.
  std::unique_ptr<Wire> accept(int socket) const;
  // The certificate must be made out to this DNS name or IP address; its common name does not
  // count.
  std::unique_ptr<Wire> connect(int socket, const std::string& server_name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fedstill
