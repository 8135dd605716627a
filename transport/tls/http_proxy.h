#pragma once

#include <string>

#include "transport/tls/endpoint.h"
#include "transport/tls/pacing.h"

namespace fedstill {

// Asks the HTTP proxy at the other end of the socket for a tunnel (RFC 9110 §9.3.6). Afterwards the
// socket reaches the target. authorization: "user:password" or empty. Throws DialError.
void open_tunnel(int socket, const Endpoint& target, const std::string& authorization,
                 SteadyTime deadline);

}  // namespace fedstill
