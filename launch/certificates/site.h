#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fedstill {

// The identity of one participant, a folder: site.key (never leaves it), site.csr, site.crt,
// ca.crt. Makes the key and the request. A key that is there already is kept, so a lost request can
// be made again. Throws as launch/certificates/authority.h says.
void request_certificate(const std::filesystem::path& folder, const std::string& name,
                         const std::string& role);

// Puts the signed certificate and the authority's into the folder, after checking that they belong
// to the key and to each other and are valid now.
void install_certificate(const std::filesystem::path& folder,
                         const std::filesystem::path& certificate,
                         const std::filesystem::path& authority);

// name, role, issuer, valid_from, valid_until, names, fingerprint of a certificate; name and role
// of a request. Of a folder: of an identity's certificate, or else request; of an authority's own.
nlohmann::json describe_certificate(const std::filesystem::path& path);

}  // namespace fedstill
