#pragma once

#include <string>

#include "transport/tls/dial.h"

namespace fedstill {

// Who we are to an HTTP proxy: "user:password". In the environment, as everybody on the machine can
// read a command line.
inline constexpr const char* kProxyAuthorization = "FEDSTILL_PROXY_AUTHORIZATION";

// Dials through the proxy HOST:PORT; an empty one is none. Throws std::invalid_argument for what is
// no address, UsageError for a user without a password.
void go_through_proxy(DialOptions& options, const std::string& proxy);

}  // namespace fedstill
