#pragma once

#include <filesystem>

#include "transport/tls/credentials.h"

namespace fedstill {

// The files that `fedstill cert install` left in a site's folder.
inline Credentials credentials_of(const std::filesystem::path& identity) {
  return {identity / "site.crt", identity / "site.key", identity / "ca.crt"};
}

}  // namespace fedstill
