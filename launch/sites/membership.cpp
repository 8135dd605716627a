#include "launch/sites/membership.h"

#include <memory>
#include <utility>

#include "launch/sites/audit.h"
#include "launch/sites/identity_folder.h"
#include "launch/sites/proxy.h"
#include "training/fit.h"
#include "transport/peer_refused.h"

namespace fedstill {

Dialler::Dialler(const Membership& membership)
    : server_(parse_endpoint(membership.coordinator)),
      credentials_(credentials_of(membership.identity)) {
  go_through_proxy(options_, membership.proxy);
  options_.bytes_per_second = static_cast<std::uint64_t>(membership.bytes_per_second);
  options_.revoked = membership.revoked;
}

std::unique_ptr<Channel> Dialler::operator()() {
  try {
    auto channel = dial(server_, credentials_, options_);
    was_there_ = true;
    return channel;
  } catch (const CredentialError& error) {  // perhaps they are being renewed
    if (!was_there_) throw;
    throw ChannelClosed(error.what());
  } catch (const UntrustedServer& error) {
    throw NotAccepted(error.what());
  } catch (const DialError& error) {
    throw ChannelClosed(error.what());
  }
}

std::string find_dial_problem(const Membership& membership) {
  check_credentials(credentials_of(membership.identity));
  try {
    Dialler{membership}();
  } catch (const ChannelClosed& error) {
    return error.what();
  }
  return {};
}

Delivery take_part_as(const Membership& membership, ClientSession& session, SiteWork work,
                      const ConnectionNews& tell, const std::atomic<bool>& stop) {
  AuditLog audit(membership.state / "audit.jsonl");
  bool was_there = false, is_cut = false;
  work.on_trouble = [&](const std::string& what) {
    is_cut = true;
    tell(what, true);
  };
  work.on_frame = [&, told = std::move(work.on_frame)](const Frame& frame, bool received) {
    record_frame(audit, membership.coordinator, frame, received);
    if (received) {
      if (std::exchange(is_cut, false)) tell(was_there ? "connected again" : "connected", false);
      was_there = true;
    }
    if (told) told(frame, received);
  };
  Dialler dialler(membership);
  switch (take_part(
      session, [&] { return dialler(); }, work, stop)) {
    case Ending::kDone:
      return session.store().bundles().back();
    case Ending::kRefused:
      throw RefusedError("[client] the coordinator refused: " + session.refusal());
    case Ending::kStopped:
      break;
  }
  throw Stopped("interrupted; go on with the same --state " + membership.state.string());
}

}  // namespace fedstill
