#include "transport/tls/dial.h"

#include "transport/tls/http_proxy.h"
#include "transport/tls/open_socket.h"
#include "transport/tls/socket_channel.h"
#include "transport/tls/tls_context.h"

namespace fedstill {
namespace {

OpenSocket reach(const Endpoint& server, const DialOptions& options, SteadyTime deadline) {
  try {
    OpenSocket socket = connect_to(options.proxy.value_or(server), deadline);
    if (options.proxy) {
      open_tunnel(socket.descriptor(), server, options.proxy_authorization, deadline);
    }
    return socket;
  } catch (const WireError& error) {
    throw DialError(DialError::Step::kConnect, "[dial] " + to_string(server) + ": " + error.what());
  }
}

// A client's certificate is as genuine as the coordinator's; only the role tells them apart.
Admission only_role(const std::string& role) {
  return [role](const PeerIdentity& peer) {
    return peer.role == role ? std::string()
                             : "its certificate is for role \"" + to_free_text(peer.role, 64) +
                                   "\", expected \"" + role + "\"";
  };
}

void complete_handshake(Wire& wire, int socket, SteadyTime deadline) {
  for (Need need; (need = wire.handshake()) != Need::kNothing;) {
    if (!wait_for(socket, need, deadline)) throw WireError("no TLS handshake in time");
  }
}

}  // namespace

std::unique_ptr<NetworkChannel> dial(const Endpoint& server, const Credentials& credentials,
                                     const DialOptions& options) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.connect_timeout;
  auto context = std::make_unique<TlsContext>(credentials, only_role(options.server_role));
  const std::string name = options.server_name.empty() ? server.host : options.server_name;
  OpenSocket socket = reach(server, options, deadline);
  try {
    auto wire = context->connect(socket.descriptor(), name);
    complete_handshake(*wire, socket.descriptor(), deadline);
    PeerIdentity peer = wire->peer();
    peer.address = to_string(server);
    return std::make_unique<SocketChannel>(std::move(socket), std::move(context), std::move(wire),
                                           std::move(peer), options);
  } catch (const WireError& error) {
    throw DialError(DialError::Step::kTls,
                    "[dial] " + to_string(server) + " as \"" + name + "\": " + error.what());
  }
}

std::unique_ptr<NetworkChannel> dial_plain(const Endpoint& server, const DialOptions& options) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.connect_timeout;
  OpenSocket socket = reach(server, options, deadline);
  auto wire = make_plain_wire(socket.descriptor());
  PeerIdentity peer{.name = {}, .role = {}, .fingerprint = {}, .address = to_string(server)};
  return std::make_unique<SocketChannel>(std::move(socket), nullptr, std::move(wire),
                                         std::move(peer), options);
}

}  // namespace fedstill
