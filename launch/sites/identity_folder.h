#pragma once

#include <filesystem>
#include <string>

#include "transport/tls/credentials.h"

namespace fedstill {

// The files that `fedstill cert install` left in a site's folder.
inline Credentials credentials_of(const std::filesystem::path& identity) {
  return {identity / "site.crt", identity / "site.key", identity / "ca.crt"};
}

// Who that is. Throws CredentialError where the files are of no use, or for another role: nobody
// would speak to it as that.
inline CertificateSummary check_role(const std::filesystem::path& identity,
                                     const std::string& role) {
  CertificateSummary own = check_credentials(credentials_of(identity));
  if (own.role == role) return own;
  throw CredentialError("[tls] " + identity.string() + " is " + own.name + "'s, role " + own.role +
                        ": expected role " + role);
}

}  // namespace fedstill
