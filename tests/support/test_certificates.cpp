#include "tests/support/test_certificates.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "transport/tls/openssl_handles.h"

namespace fedstill {
namespace {

using Key = KeyHandle;
using Certificate = CertificateHandle;
using Extension = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;
using File = std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })>;

void check(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("[test certificates] ") + what);
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

void set_subject(X509* certificate, const std::string& name, const std::string& role) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const auto add = [subject](const char* field, const std::string& text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    check(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, bytes,
                                     static_cast<int>(text.size()), -1, 0) == 1,
          "subject");
  };
  add("CN", name);
  if (!role.empty()) add("OU", role);
}

Certificate make_certificate(EVP_PKEY* key, int serial, const TestAuthority::Wish& wish) {
  Certificate certificate(X509_new());
  X509* const raw = certificate.get();
  check(X509_set_version(raw, 2) == 1, "version");
  check(ASN1_INTEGER_set(X509_get_serialNumber(raw), serial) == 1, "serial");
  check(X509_gmtime_adj(X509_getm_notBefore(raw), wish.valid_from.count()) != nullptr, "from");
  check(X509_gmtime_adj(X509_getm_notAfter(raw), wish.valid_until.count()) != nullptr, "until");
  check(X509_set_pubkey(raw, key) == 1, "public key");
  set_subject(raw, wish.name, wish.role);
  return certificate;
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) {
    in6_addr unused{};
    const bool is_address = inet_pton(AF_INET, host.c_str(), &unused) == 1 ||
                            inet_pton(AF_INET6, host.c_str(), &unused) == 1;
    text += (text.empty() ? "" : ",") + std::string(is_address ? "IP:" : "DNS:") + host;
  }
  return text;
}

File open_for_writing(const std::filesystem::path& path) {
  File file(std::fopen(path.c_str(), "w"));
  check(file != nullptr, "cannot write");
  return file;
}

void write_certificate(const std::filesystem::path& path, X509* certificate) {
  const File file = open_for_writing(path);
  check(PEM_write_X509(file.get(), certificate) == 1, "cannot write a certificate");
}

}  // namespace

struct TestAuthority::Keys {
  Key key;
  Certificate certificate;
};

TestAuthority::TestAuthority(std::chrono::seconds valid_until) : keys_(std::make_unique<Keys>()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "fedstill-ca-XXXXXX").string();
  check(::mkdtemp(pattern.data()) != nullptr, "no folder");
  folder_ = pattern;
  keys_->key = make_key();
  keys_->certificate = make_certificate(
      keys_->key.get(), 1, {.name = "test authority", .role = "", .valid_until = valid_until});
  X509* const raw = keys_->certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(raw, raw, NID_subject_key_identifier, "hash");
  check(X509_sign(raw, keys_->key.get(), EVP_sha256()) > 0, "sign");
  write_certificate(authority(), raw);
}

TestAuthority::~TestAuthority() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Credentials TestAuthority::issue(const Wish& wish) {
  const Key key = make_key();
  const Certificate certificate = make_certificate(key.get(), ++serial_, wish);
  X509* const raw = certificate.get();
  X509* const issuer = wish.self_signed ? raw : keys_->certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(issuer));
  add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE");
  if (!wish.usage.empty()) add_extension(raw, issuer, NID_ext_key_usage, wish.usage);
  if (!wish.hosts.empty()) {
    add_extension(raw, issuer, NID_subject_alt_name, alternative_names(wish.hosts));
  }
  EVP_PKEY* const signer = wish.self_signed ? key.get() : keys_->key.get();
  check(X509_sign(raw, signer, EVP_sha256()) > 0, "sign");

  const std::string stem = std::to_string(serial_);
  Credentials files{folder_ / (stem + ".crt"), folder_ / (stem + ".key"), authority()};
  write_certificate(files.certificate, raw);
  {
    const File file = open_for_writing(files.key);
    check(PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "cannot write a key");
  }
  std::filesystem::permissions(files.key, std::filesystem::perms::owner_read);
  return files;
}

Credentials TestAuthority::coordinator() {
  return issue({.name = "coordinator",
                .role = "coordinator",
                .hosts = {"localhost", "127.0.0.1", "::1"},
                .usage = "serverAuth,clientAuth"});
}

std::filesystem::path TestAuthority::write(const std::string& name, const std::string& text) const {
  const auto path = folder_ / name;
  std::ofstream(path.string() + ".new") << text;
  std::filesystem::rename(path.string() + ".new", path);
  return path;
}

std::filesystem::path TestAuthority::write_encrypted_key(const std::string& name) const {
  const auto path = folder_ / name;
  {
    const File file = open_for_writing(path);
    char passphrase[] = "secret";
    check(PEM_write_PrivateKey(file.get(), keys_->key.get(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                               passphrase) == 1,
          "cannot write a key");
  }
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  return path;
}

}  // namespace fedstill
