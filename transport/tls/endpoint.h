#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fedstill {

// Where a server listens or a client dials: a name or an address, and a TCP port.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// "host:port", "1.2.3.4:port" or "[::1]:port". Throws std::invalid_argument.
Endpoint parse_endpoint(std::string_view text);
std::string to_string(const Endpoint& endpoint);

}  // namespace fedstill
