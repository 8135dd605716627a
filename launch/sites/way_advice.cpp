#include "launch/sites/way_advice.h"

#include <stdexcept>

namespace fedstill {

std::string advice_on(DialError::Step step) {
  switch (step) {
    case DialError::Step::kName:
      return "the right host name? does this machine's DNS know it?";
    case DialError::Step::kConnect:
      return "is the coordinator running, the port right, the firewall open? is a proxy needed?";
    case DialError::Step::kProxy:
      return "ask whoever runs the proxy for CONNECT to that port; does it want a name and a "
             "password? FEDSTILL_PROXY_AUTHORIZATION=user:password";
    case DialError::Step::kTls:
      return "certificates of the same authority on both sides, made out to that name, not revoked";
  }
  throw std::logic_error("[dial] unknown step");
}

// The reasons are those of TLS (RFC 8446, 6.2) as OpenSSL words them.
std::string advice_on(const PeerRefused& refused) {
  const std::string& reason = refused.reason();
  if (reason == "certificate revoked" || reason == "certificate expired") {
    return "a new certificate is needed: fedstill cert request, sign and install";
  }
  if (reason == "unknown ca") {
    return "the coordinator trusts another authority: both sides need certificates of the same one";
  }
  if (reason == "bad certificate") {
    return "is its name on the coordinator's list (--allowed), and its role the right one? "
           "fedstill cert show tells both";
  }
  return "fedstill cert show tells what the certificate says";
}

}  // namespace fedstill
