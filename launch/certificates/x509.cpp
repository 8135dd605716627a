#include "launch/certificates/x509.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <span>

#include "model/atomic_file.h"

namespace fedstill::x509 {
namespace {

constexpr std::size_t kMaxPemBytes = 64 * 1024;

BioHandle open_file(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxPemBytes);
  BioHandle bio(BIO_new(BIO_s_mem()));
  check(bio != nullptr && (bytes.empty() ||
                           BIO_write(bio.get(), bytes.data(), static_cast<int>(bytes.size())) > 0),
        "memory");
  return bio;
}

template <typename Handle, typename Read>
Handle read_pem(const std::filesystem::path& path, const char* kind, Read read) {
  const BioHandle bio = open_file(path);
  // A password is never asked for: a service could not answer.
  static constexpr auto kNoPassword = [](char*, int, int, void*) { return 0; };
  Handle handle(read(bio.get(), nullptr, +kNoPassword, nullptr));
  check(handle != nullptr, path.string() + " is not " + kind + " in PEM");
  return handle;
}

template <typename Write>
std::string to_pem(Write write) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  check(bio != nullptr && write(bio.get()) == 1, "writing PEM");
  char* text = nullptr;
  const auto length = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}

std::string address_text(std::span<const unsigned char> octets) {
  std::array<char, 48> text{};
  if (octets.size() == 4) {
    std::snprintf(text.data(), text.size(), "IP:%u.%u.%u.%u", octets[0], octets[1], octets[2],
                  octets[3]);
    return text.data();
  }
  std::string out = "IP:";
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2) {
    std::snprintf(text.data(), text.size(), "%s%x", i == 0 ? "" : ":",
                  static_cast<unsigned>(octets[i] << 8 | octets[i + 1]));
    out += text.data();
  }
  return out;
}

}  // namespace

void check(bool succeeded, const std::string& what) {
  if (succeeded) {
    ERR_clear_error();
    return;
  }
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  throw CertificateError("[cert] " + what +
                         (reason == nullptr ? "" : " (" + std::string(reason) + ")"));
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "no key could be made");
  return key;
}

Key read_key(const std::filesystem::path& path) {
  return read_pem<Key>(path, "a private key without password", PEM_read_bio_PrivateKey);
}
Certificate read_certificate(const std::filesystem::path& path) {
  return read_pem<Certificate>(path, "a certificate", PEM_read_bio_X509);
}
Request read_request(const std::filesystem::path& path) {
  return read_pem<Request>(path, "a certificate request", PEM_read_bio_X509_REQ);
}

void write_key(const std::filesystem::path& path, EVP_PKEY* key) {
  const std::string pem = to_pem([key](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  const mode_t before = ::umask(S_IRWXG | S_IRWXO);  // never readable by others, not for a moment
  try {
    write_file_atomically(path, pem);
  } catch (...) {
    ::umask(before);
    throw;
  }
  ::umask(before);
}
void write_certificate(const std::filesystem::path& path, X509* certificate) {
  write_file_atomically(
      path, to_pem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); }));
}
void write_request(const std::filesystem::path& path, X509_REQ* request) {
  write_file_atomically(
      path, to_pem([request](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request); }));
}

std::string subject_entry(X509_NAME* name, int nid) {
  const int index = X509_NAME_get_index_by_NID(name, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, nid, index) >= 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

void set_subject(X509_NAME* name, const std::string& common_name, const std::string& role) {
  const auto add = [name](int nid, const std::string& text) {
    check(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()), -1, 0) == 1,
          "'" + text + "' cannot stand in a certificate");
  };
  if (!role.empty()) add(NID_organizationalUnitName, role);
  add(NID_commonName, common_name);
}

std::vector<std::string> alternative_names(X509* certificate) {
  std::vector<std::string> out;
  const std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(names.get(), i);
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(entry, &type));
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    const std::span octets(ASN1_STRING_get0_data(value),
                           static_cast<std::size_t>(ASN1_STRING_length(value)));
    out.push_back(type == GEN_IPADD ? address_text(octets)
                                    : "DNS:" + std::string(octets.begin(), octets.end()));
  }
  return out;
}

std::string fingerprint(X509* certificate) {
  std::string print = identity_of(certificate).fingerprint;
  check(!print.empty(), "fingerprint");
  return print;
}

std::string time_text(const ASN1_TIME* time) {
  std::tm parts{};
  check(ASN1_TIME_to_tm(time, &parts) == 1, "a time that cannot be read");
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace fedstill::x509
