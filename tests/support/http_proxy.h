#pragma once

#include <functional>
#include <string>

#include "tests/transport/raw_peer.h"

namespace fedstill {

inline constexpr const char* kTunnelIsOpen = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n";

// What makes a Relay an HTTP proxy: it answers every request so, and passes everything on where the
// answer is kTunnelIsOpen.
inline Relay::Greeting http_proxy(std::function<std::string(const std::string& request)> answer) {
  return [answer = std::move(answer)](RawSocket& dialing) {
    std::string request;
    while (!request.ends_with("\r\n\r\n")) {
      const auto byte = dialing.receive(1);
      if (byte.empty()) return false;
      request += static_cast<char>(byte[0]);
    }
    const std::string said = answer(request);
    dialing.send(said);
    return said == kTunnelIsOpen;
  };
}

// Lets in who says user:secret.
inline Relay::Greeting proxy_with_password() {
  return http_proxy([](const std::string& request) -> std::string {
    const bool knows =
        request.find("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n") != std::string::npos;
    return knows ? kTunnelIsOpen : "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
  });
}

}  // namespace fedstill
