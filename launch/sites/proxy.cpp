#include "launch/sites/proxy.h"

#include <cstdlib>

#include "launch/command_line.h"

namespace fedstill {

void go_through_proxy(DialOptions& options, const std::string& proxy) {
  if (proxy.empty()) return;
  options.proxy = parse_endpoint(proxy);
  const char* const authorization = std::getenv(kProxyAuthorization);
  if (authorization == nullptr || *authorization == '\0') return;
  options.proxy_authorization = authorization;
  if (options.proxy_authorization.find(':') == std::string::npos) {
    throw UsageError(std::string(kProxyAuthorization) + ": expected user:password");
  }
}

}  // namespace fedstill
