#include "transport/tls/dial.h"

#include <algorithm>

#include "transport/tls/access_lists.h"
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

using Lists = std::shared_ptr<AccessLists>;

// A client's certificate is as genuine as the coordinator's; only the role tells them apart.
Admission only_role(const std::string& role, const Lists& lists) {
  return [role, lists](const PeerIdentity& peer) -> Objection {
    if (peer.role == role) return lists->objection_to(peer);
    return {"its certificate is for role \"" + to_free_text(peer.role, 64) + "\", expected \"" +
            role + "\""};
  };
}

// Looks at the list now and then while it waits.
class WatchingChannel : public NetworkChannel {
 public:
  WatchingChannel(std::unique_ptr<NetworkChannel> inner, Lists lists)
      : inner_(std::move(inner)), lists_(std::move(lists)) {}
  void send(const Frame& frame) override { inner_->send(frame); }
  std::optional<Frame> receive(std::chrono::milliseconds wait) override {
    for (;; wait -= kLookEvery) {
      look();
      auto frame = inner_->receive(std::min(wait, kLookEvery));
      if (frame || wait <= kLookEvery) return frame;
    }
  }
  std::uint64_t received_bytes() const override { return inner_->received_bytes(); }
  void close() override { inner_->close(); }
  const PeerIdentity& peer() const override { return inner_->peer(); }

 private:
  static constexpr std::chrono::milliseconds kLookEvery{1'000};

  void look() {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now - looked_ < kLookEvery) return;
    looked_ = now;
    lists_->refresh([](const std::string&) {});  // the next dial() tells what is wrong with it
    const std::string problem = lists_->objection_to(peer()).why;
    if (problem.empty()) return;
    inner_->close();
    throw ChannelClosed("[channel] " + peer().address + ": " + problem);
  }

  std::unique_ptr<NetworkChannel> inner_;
  Lists lists_;
  SteadyTime looked_{};
};

void complete_handshake(Wire& wire, int socket, SteadyTime deadline) {
  for (Need need; (need = wire.handshake()) != Need::kNothing;) {
    if (!wait_for(socket, need, deadline)) throw WireError("no TLS handshake in time");
  }
}

}  // namespace

std::unique_ptr<NetworkChannel> dial(const Endpoint& server, const Credentials& credentials,
                                     const DialOptions& options) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.connect_timeout;
  const auto lists = std::make_shared<AccessLists>(AccessFiles{options.revoked, {}});
  auto context = std::make_unique<TlsContext>(credentials, only_role(options.server_role, lists));
  const std::string name = options.server_name.empty() ? server.host : options.server_name;
  OpenSocket socket = reach(server, options, deadline);
  const auto told = [&](const WireError& error) {
    return "[dial] " + to_string(server) + " as \"" + name + "\": " + error.what();
  };
  try {
    auto wire = context->connect(socket.descriptor(), name);
    complete_handshake(*wire, socket.descriptor(), deadline);
    PeerIdentity peer = wire->peer();
    peer.address = to_string(server);
    auto channel = std::make_unique<SocketChannel>(std::move(socket), std::move(context),
                                                   std::move(wire), std::move(peer), options);
    if (options.revoked.empty()) return channel;
    return std::make_unique<WatchingChannel>(std::move(channel), lists);
  } catch (const Distrust& error) {
    throw UntrustedServer(told(error));
  } catch (const WireError& error) {
    throw DialError(DialError::Step::kTls, told(error));
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
