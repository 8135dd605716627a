#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fedstill {

// The federation's own certificate authority, a folder: ca.crt, ca.key (keep it offline),
// issued.txt (who got what), revoked.txt (fingerprints; coordinators re-read it while they run).
// Everything throws x509::CertificateError, std::system_error, or std::invalid_argument for a name,
// role or number of days that cannot be.
void create_authority(const std::filesystem::path& folder, const std::string& name, int days);

struct SignOptions {
  std::string role;                // empty: what the request asks for, but for a client only
  std::vector<std::string> hosts;  // names and addresses under which a coordinator is reached
  int days = 365;
};
// Signs what `fedstill cert request` wrote; returns the fingerprint. The site's key stays there:
// the request holds its public half and a proof of possession, which is checked.
std::string sign_request(const std::filesystem::path& folder, const std::filesystem::path& request,
                         const std::filesystem::path& out, const SignOptions& options);

// By certificate file, by fingerprint, or by name: then all that were issued to it. Returns the
// fingerprints that were not revoked before.
std::vector<std::string> revoke(const std::filesystem::path& folder, const std::string& whom);

}  // namespace fedstill
