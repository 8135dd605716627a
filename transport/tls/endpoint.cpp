#include "transport/tls/endpoint.h"

#include <charconv>
#include <stdexcept>
#include <system_error>

namespace fedstill {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw std::invalid_argument("[endpoint] \"" + std::string(text) +
                              "\": expected HOST:PORT or [IPV6]:PORT");
}

}  // namespace

Endpoint parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) refuse(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']' && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]: \t\r\n") != std::string_view::npos) {
    refuse(text);
  }
  Endpoint endpoint{std::string(host), 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (error != std::errc() || end != digits.data() + digits.size()) refuse(text);
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  const bool is_ipv6 = endpoint.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
         std::to_string(endpoint.port);
}

}  // namespace fedstill
