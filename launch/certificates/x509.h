#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "transport/tls/openssl_handles.h"

namespace fedstill::x509 {

// A certificate, a request or a key is not what it has to be, or does not belong to another.
class CertificateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Key = KeyHandle;
using Certificate = CertificateHandle;
using Request = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;

// Throws CertificateError with what OpenSSL says unless the call succeeded. The one way out of
// OpenSSL's error codes.
void check(bool succeeded, const std::string& what);

Key make_key();  // P-256

// PEM files. Reading throws std::system_error (missing, unreadable) or CertificateError (another
// kind of file). Writing replaces the file atomically; a key is readable by its owner alone.
Key read_key(const std::filesystem::path& path);
Certificate read_certificate(const std::filesystem::path& path);
Request read_request(const std::filesystem::path& path);
void write_key(const std::filesystem::path& path, EVP_PKEY* key);
void write_certificate(const std::filesystem::path& path, X509* certificate);
void write_request(const std::filesystem::path& path, X509_REQ* request);

// CN, OU, …: the one entry of this kind, or empty.
std::string subject_entry(X509_NAME* name, int nid);
void set_subject(X509_NAME* name, const std::string& common_name, const std::string& role);
std::vector<std::string> alternative_names(X509* certificate);  // "DNS:a.example", "IP:10.0.0.1"
std::string fingerprint(X509* certificate);                     // SHA-256, lower-case hex
std::string time_text(const ASN1_TIME* time);                   // 2026-01-31T12:00:00Z

}  // namespace fedstill::x509
