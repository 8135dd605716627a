#include "transport/tls/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>

#include "transport/tls/openssl_handles.h"

namespace fedstill {
namespace {

using StoreContextHandle = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

constexpr std::streamsize kMaxPemBytes = 1 << 20;

[[noreturn]] void refuse(const char* what, const std::filesystem::path& path,
                         const std::string& why) {
  throw CredentialError("[tls] " + std::string(what) + " " + path.string() + ": " + why);
}

BioHandle read_pem(const char* what, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(what, path, std::string("cannot be read: ") + std::strerror(errno));
  std::string text(static_cast<std::size_t>(kMaxPemBytes), '\0');
  file.read(text.data(), kMaxPemBytes);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty()) refuse(what, path, "is empty");
  BioHandle bio(BIO_new(BIO_s_mem()));
  const int size = static_cast<int>(text.size());
  if (!bio || BIO_write(bio.get(), text.data(), size) != size) refuse(what, path, "no memory");
  return bio;
}

std::vector<CertificateHandle> read_certificates(const char* what,
                                                 const std::filesystem::path& path) {
  const BioHandle bio = read_pem(what, path);
  std::vector<CertificateHandle> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string why = take_openssl_error();
  if (certificates.empty() || !is_end) refuse(what, path, "is no PEM certificate (" + why + ")");
  return certificates;
}

// Whoever reads the key can pose as this party. A group may share it: services run that way.
void check_permissions(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    refuse("key", path, std::string("cannot be read: ") + std::strerror(errno));
  }
  if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    refuse("key", path, "others have access to it; run: chmod 600 " + path.string());
  }
}

KeyHandle read_key(const std::filesystem::path& path) {
  check_permissions(path);
  const BioHandle bio = read_pem("key", path);
  bool asked = false;
  // Without a callback of its own OpenSSL asks on the terminal.
  const auto no_passphrase = [](char*, int, int, void* flag) {
    *static_cast<bool*>(flag) = true;
    return -1;
  };
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked));
  const std::string why = take_openssl_error();
  if (asked) refuse("key", path, "has a passphrase, which a service could not type");
  if (!key) refuse("key", path, "is no PEM private key (" + why + ")");
  return key;
}

std::chrono::system_clock::time_point to_time(const ASN1_TIME* time) {
  std::tm calendar{};
  if (ASN1_TIME_to_tm(time, &calendar) != 1) return {};
  // A certificate without an end says 9999, which the clock's nanoseconds do not reach.
  using Clock = std::chrono::system_clock;
  constexpr std::time_t kLast =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::duration::max()).count();
  return Clock::from_time_t(std::clamp(timegm(&calendar), -kLast, kLast));
}

std::string to_text(const ASN1_TIME* time) {
  std::tm calendar{};
  std::array<char, 32> text{};
  if (ASN1_TIME_to_tm(time, &calendar) != 1) return "an unknown time";
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &calendar);
  return text.data();
}

void check_validity(const std::filesystem::path& path, const X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    refuse("certificate", path, "expired at " + to_text(X509_get0_notAfter(certificate)));
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    refuse("certificate", path,
           "is valid only from " + to_text(X509_get0_notBefore(certificate)) +
               "; is the clock right?");
  }
}

StoreHandle make_store(const std::filesystem::path& authority) {
  StoreHandle store(X509_STORE_new());
  for (const CertificateHandle& trusted : read_certificates("authority", authority)) {
    if (X509_STORE_add_cert(store.get(), trusted.get()) != 1) {
      refuse("authority", authority, take_openssl_error());
    }
  }
  return store;
}

// A certificate that no peer would accept is better reported here than by every peer.
void check_signature(const Credentials& files, const LoadedCredentials& loaded) {
  using ChainHandle =
      std::unique_ptr<STACK_OF(X509),
                      decltype([](STACK_OF(X509) * chain) { sk_X509_free(chain); })>;
  const ChainHandle chain(sk_X509_new_null());
  for (const auto& link : loaded.intermediates) sk_X509_push(chain.get(), link.get());
  const StoreContextHandle context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), loaded.trusted.get(), loaded.certificate.get(),
                          chain.get()) != 1) {
    refuse("certificate", files.certificate, take_openssl_error());
  }
  if (X509_verify_cert(context.get()) != 1) {
    refuse("certificate", files.certificate,
           "not accepted by the authority " + files.authority.string() + ": " +
               X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  }
}

std::string last_entry(const X509_NAME* subject, int nid) {
  int found = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0;) found = at;
  if (found < 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, found));
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(value));
  return {bytes, static_cast<std::size_t>(ASN1_STRING_length(value))};
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown error";
}

std::chrono::system_clock::time_point end_of(const X509* certificate) {
  return to_time(X509_get0_notAfter(certificate));
}

PeerIdentity identity_of(X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  PeerIdentity identity{.name = last_entry(subject, NID_commonName),
                        .role = last_entry(subject, NID_organizationalUnitName),
                        .fingerprint = {},
                        .address = {},
                        .valid_until = end_of(certificate)};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) size = 0;
  for (unsigned i = 0; i < size; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    identity.fingerprint += kDigits[digest[i] >> 4];
    identity.fingerprint += kDigits[digest[i] & 15];
  }
  return identity;
}

LoadedCredentials load_credentials(const Credentials& files) {
  auto certificates = read_certificates("certificate", files.certificate);
  LoadedCredentials loaded;
  loaded.certificate = std::move(certificates.front());
  loaded.intermediates.assign(std::make_move_iterator(certificates.begin() + 1),
                              std::make_move_iterator(certificates.end()));
  loaded.key = read_key(files.key);
  loaded.trusted = make_store(files.authority);
  if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1) {
    ERR_clear_error();
    refuse("key", files.key, "does not belong to the certificate " + files.certificate.string());
  }
  check_validity(files.certificate, loaded.certificate.get());
  check_signature(files, loaded);
  return loaded;
}

CertificateSummary check_credentials(const Credentials& credentials) {
  const LoadedCredentials loaded = load_credentials(credentials);
  X509* const certificate = loaded.certificate.get();
  const PeerIdentity identity = identity_of(certificate);
  return {identity.name, identity.role, identity.fingerprint,
          to_time(X509_get0_notBefore(certificate)), identity.valid_until};
}

}  // namespace fedstill
