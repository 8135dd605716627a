// Who may come in, and as whom the server shows itself: both may change while it runs.
#include <algorithm>
#include <string>

#include "transport/tls/file_stamp.h"
#include "transport/tls/server_connection.h"
#include "transport/tls/server_core.h"

namespace fedstill {
namespace {

std::string seconds(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::string stamp_of_all(const Credentials& files) {
  return stamp_of(files.certificate) + ", " + stamp_of(files.key) + ", " +
         stamp_of(files.authority);
}

constexpr const char* kShutOut = "it was refused too often";

// One name in two roles is two people.
std::string key_of(const PeerIdentity& peer) { return peer.role + " " + peer.name; }

}  // namespace

std::shared_ptr<const TlsContext> ServerCore::make_context() {
  if (!options_.credentials) return nullptr;
  context_stamp_ = stamp_of_all(*options_.credentials);  // before reading: a later change must show
  return std::make_shared<const TlsContext>(
      *options_.credentials, [this](const PeerIdentity& peer) { return objection_to(peer); });
}

std::unique_ptr<Wire> ServerCore::make_wire(int socket) const {
  const std::lock_guard lock(mutex_);
  return context_ ? context_->accept(socket) : make_plain_wire(socket);
}

Objection ServerCore::objection_to(const PeerIdentity& peer) const {
  if (!is_name(peer.name)) return {"its certificate names nobody"};
  if (std::find(options_.roles.begin(), options_.roles.end(), peer.role) == options_.roles.end()) {
    return {"its certificate is for role \"" + to_free_text(peer.role, 64) + "\""};
  }
  if (is_shut_out(peers_, key_of(peer))) return {kShutOut, Objection::Kind::kForNow};
  return lists_.objection_to(peer);
}

void ServerCore::look_at_files() {
  look_at_credentials();
  const bool is_new = lists_.refresh([this](const std::string& what) { warn(what); });
  const auto now = options_.wall();
  for (const ConnectionHandle& connection : verified()) {
    const PeerIdentity& peer = connection->peer();
    std::string problem = is_new ? lists_.objection_to(peer).why : std::string();
    if (now >= peer.valid_until) problem = "its certificate has expired";
    if (!problem.empty()) connection->shut(CloseCause::kAccess, problem);
  }
  start_timer(housekeeping_, options_.access.look_every,
              [self = shared_from_this()] { self->look_at_files(); });
}

void ServerCore::look_at_credentials() {
  if (!options_.credentials || stamp_of_all(*options_.credentials) == context_stamp_) return;
  try {
    auto context = make_context();
    const std::lock_guard lock(mutex_);
    context_.swap(context);
  } catch (const CredentialError& error) {
    warn(std::string(error.what()) + "; this side's certificate stays as it was");
  }
}

void ServerCore::note_failed_handshake(const std::string& host) { note_refusal(addresses_, host); }

void ServerCore::note_refusal(const PeerIdentity& peer) {
  if (peer.name.empty() || !note_refusal(peers_, key_of(peer))) return;
  for (const ConnectionHandle& connection : verified()) {
    if (key_of(connection->peer()) == key_of(peer)) {
      connection->shut(CloseCause::kAccess, kShutOut);
    }
  }
}

bool ServerCore::is_shut_out(const Refusals& refusals, const std::string& peer) const {
  const std::lock_guard lock(mutex_);
  return refusals.is_shut_out(peer, std::chrono::steady_clock::now());
}

bool ServerCore::note_refusal(Refusals& refusals, const std::string& peer) {
  {
    const std::lock_guard lock(mutex_);
    if (!refusals.note(peer, std::chrono::steady_clock::now())) return false;
  }
  ++shut_out_;
  const RefusalLimits& limits = refusals.limits();
  warn("[server] " + peer + " was refused more than " + std::to_string(limits.most) + " times in " +
       seconds(limits.window) + " and is shut out for " + seconds(limits.shut_out));
  return true;
}

}  // namespace fedstill
