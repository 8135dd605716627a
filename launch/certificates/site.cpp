#include "launch/certificates/site.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "launch/certificates/identity.h"
#include "launch/certificates/x509.h"

namespace fedstill {
namespace {

using x509::alternative_names;
using x509::Certificate;
using x509::CertificateError;
using x509::check;
using x509::fingerprint;
using x509::Key;
using x509::make_key;
using x509::read_certificate;
using x509::read_key;
using x509::read_request;
using x509::Request;
using x509::set_subject;
using x509::subject_entry;
using x509::time_text;
using x509::write_certificate;
using x509::write_key;
using x509::write_request;

bool is_request(const std::filesystem::path& path) {
  try {
    read_request(path);
    return true;
  } catch (const CertificateError&) {
    return false;
  }
}

std::filesystem::path file_to_show(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return path;
  for (const char* name : {"site.crt", "site.csr", "ca.crt"}) {
    if (std::filesystem::exists(path / name)) return path / name;
  }
  throw CertificateError("[cert] " + path.string() + " holds neither an identity nor an authority");
}

void check_chain(X509* certificate, X509* authority, const std::filesystem::path& path) {
  const std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>> context(
      X509_STORE_CTX_new());
  check(X509_STORE_add_cert(store.get(), authority) == 1 &&
            X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1,
        "checking " + path.string());
  if (X509_verify_cert(context.get()) == 1) return;
  const int problem = X509_STORE_CTX_get_error(context.get());
  throw CertificateError("[cert] " + path.string() + " is not valid under this authority: " +
                         X509_verify_cert_error_string(problem));
}

}  // namespace

void request_certificate(const std::filesystem::path& folder, const std::string& name,
                         const std::string& role) {
  check_identity(name, role);
  std::filesystem::create_directories(folder);
  const auto key_path = folder / "site.key";
  Key key = std::filesystem::exists(key_path) ? read_key(key_path) : make_key();
  if (!std::filesystem::exists(key_path)) write_key(key_path, key.get());
  const Request request(X509_REQ_new());
  check(request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1,
        "request");
  set_subject(X509_REQ_get_subject_name(request.get()), name, role);
  check(X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
            X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0,
        "signing the request");
  write_request(folder / "site.csr", request.get());
}

void install_certificate(const std::filesystem::path& folder,
                         const std::filesystem::path& certificate,
                         const std::filesystem::path& authority) {
  const Certificate signed_one = read_certificate(certificate), ca = read_certificate(authority);
  const Key key = read_key(folder / "site.key");
  check(X509_check_private_key(signed_one.get(), key.get()) == 1,
        certificate.string() + " was not made for the key in " + folder.string());
  check_chain(signed_one.get(), ca.get(), certificate);
  write_certificate(folder / "ca.crt", ca.get());
  write_certificate(folder / "site.crt", signed_one.get());
}

nlohmann::json describe_certificate(const std::filesystem::path& given) {
  const std::filesystem::path path = file_to_show(given);
  if (is_request(path)) {
    const Request request = read_request(path);
    X509_NAME* subject = X509_REQ_get_subject_name(request.get());
    return {{"kind", "request"},
            {"name", subject_entry(subject, NID_commonName)},
            {"role", subject_entry(subject, NID_organizationalUnitName)}};
  }
  const Certificate certificate = read_certificate(path);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  return {{"kind", "certificate"},
          {"name", subject_entry(subject, NID_commonName)},
          {"role", subject_entry(subject, NID_organizationalUnitName)},
          {"issuer", subject_entry(X509_get_issuer_name(certificate.get()), NID_commonName)},
          {"valid_from", time_text(X509_get0_notBefore(certificate.get()))},
          {"valid_until", time_text(X509_get0_notAfter(certificate.get()))},
          {"names", alternative_names(certificate.get())},
          {"fingerprint", fingerprint(certificate.get())}};
}

}  // namespace fedstill
