#pragma once

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fedstill {

// A certificate or key file of this side is missing, damaged, exposed or does not belong.
class CredentialError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Who this side is and whom it trusts: PEM files. The certificate may be followed by the
// certificates between it and the authority; the authority file may hold several.
struct Credentials {
  std::filesystem::path certificate, key, authority;
};

// Who is at the other end, from its verified certificate: name is the common name, role the
// organisational unit ("coordinator", "client" or "admin"), fingerprint the SHA-256 of the
// certificate as 64 lower-case hex digits, address "host:port" as the socket sees it; valid_until
// is when the first certificate of its chain expires. Without TLS only the address is known.
struct PeerIdentity {
  std::string name, role, fingerprint, address;
  std::chrono::system_clock::time_point valid_until = std::chrono::system_clock::time_point::max();
};

struct CertificateSummary {
  std::string name, role, fingerprint;
  std::chrono::system_clock::time_point valid_from, valid_until;
};

// Looks at the files as dial() and Server do. Throws CredentialError where they would: a file that
// cannot be read or parsed, a key that others may read or that has a passphrase, a key that does
// not belong to the certificate, a certificate that is not valid now or not signed by the
// authority.
CertificateSummary check_credentials(const Credentials& credentials);

}  // namespace fedstill
