#pragma once

#include <string>

#include "transport/peer_refused.h"
#include "transport/tls/dial.h"

namespace fedstill {

// What to do where the way to a coordinator ends, for whoever dials: a site or an administrator.
std::string advice_on(DialError::Step step);
std::string advice_on(const PeerRefused& refused);

}  // namespace fedstill
