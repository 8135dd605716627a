#include "launch/certificates/authority.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <sstream>
#include <stdexcept>

#include "launch/certificates/identity.h"
#include "launch/certificates/x509.h"
#include "model/atomic_file.h"
#include "model/text_file.h"
#include "transport/message.h"

namespace fedstill {
namespace {

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

constexpr std::size_t kMaxListBytes = std::size_t{16} << 20;
constexpr long kDay = 24L * 3600;

std::string read_list(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return {};
  return read_text(path, kMaxListBytes);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  check(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1,
        "'" + value + "' cannot stand in a certificate");
}

void set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  check(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no random numbers");
  bytes[0] &= 0x7F;  // positive
  const std::unique_ptr<BIGNUM, OpensslFree<BN_free>> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  check(number != nullptr &&
            BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
        "serial number");
}

Certificate blank(EVP_PKEY* key, int days) {
  if (days < 1 || days > 36'500) {
    throw std::invalid_argument("[cert] days: found " + std::to_string(days) +
                                ", expected 1 to 36500");
  }
  Certificate certificate(X509_new());
  check(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
            X509_set_pubkey(certificate.get(), key) == 1,
        "certificate");
  set_serial(certificate.get());
  // A minute back: clocks differ.
  check(X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60) != nullptr &&
            X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * kDay) != nullptr,
        "validity");
  return certificate;
}

std::string alternative_names_of(const SignOptions& options) {
  std::string out;
  for (const std::string& host : options.hosts) {
    const std::unique_ptr<ASN1_OCTET_STRING, OpensslFree<ASN1_OCTET_STRING_free>> address(
        a2i_IPADDRESS(host.c_str()));
    const bool plain = std::ranges::all_of(host, [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '.' || c == '-' || c == ':';
    });
    const bool has_port = !address && host.find(':') != std::string::npos;
    if (host.empty() || !plain || has_port) {
      throw std::invalid_argument("[cert] host: found '" + to_free_text(host, 256) +
                                  "', expected a name or an address, without a port");
    }
    out += (out.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + host;
  }
  return out;
}

std::string role_of(const SignOptions& options, const std::string& requested) {
  if (options.role.empty() && requested != "client") {
    throw std::invalid_argument("[cert] the request asks for the role " +
                                to_free_text(requested, 64) +
                                ": say --role to grant more than client");
  }
  std::string role = options.role.empty() ? requested : options.role;
  if (role == "coordinator" && options.hosts.empty()) {
    throw std::invalid_argument("[cert] a coordinator needs --host, the name clients dial");
  }
  return role;
}

void append_line(const std::filesystem::path& path, const std::string& line) {
  write_file_atomically(path, read_list(path) + line + "\n");
}

}  // namespace

void create_authority(const std::filesystem::path& folder, const std::string& name, int days) {
  if (std::filesystem::exists(folder / "ca.key")) {
    throw CertificateError("[cert] " + folder.string() + " holds an authority already");
  }
  const Key key = make_key();
  const Certificate certificate = blank(key.get(), days);
  set_subject(X509_get_subject_name(certificate.get()), name, "");
  check(X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get())) == 1,
        "issuer");
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints,
                "critical,CA:TRUE,pathlen:0");
  add_extension(certificate.get(), certificate.get(), NID_key_usage,
                "critical,keyCertSign,cRLSign");
  add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  check(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "signing");
  std::filesystem::create_directories(folder);
  write_key(folder / "ca.key", key.get());
  write_certificate(folder / "ca.crt", certificate.get());
  write_file_atomically(folder / "revoked.txt",
                        "# SHA-256 fingerprints of revoked certificates, one a line\n");
}

std::string sign_request(const std::filesystem::path& folder,
                         const std::filesystem::path& request_path,
                         const std::filesystem::path& out, const SignOptions& options) {
  const Request request = read_request(request_path);
  const Key authority_key = read_key(folder / "ca.key");
  const Certificate authority = read_certificate(folder / "ca.crt");
  check(X509_check_private_key(authority.get(), authority_key.get()) == 1,
        (folder / "ca.key").string() + " does not belong to ca.crt beside it");
  EVP_PKEY* site_key = X509_REQ_get0_pubkey(request.get());
  check(site_key != nullptr && X509_REQ_verify(request.get(), site_key) == 1,
        request_path.string() + " is not signed by its own key");
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  const std::string name = subject_entry(subject, NID_commonName);
  const std::string role = role_of(options, subject_entry(subject, NID_organizationalUnitName));
  check_identity(name, role);

  const Certificate certificate = blank(site_key, options.days);
  set_subject(X509_get_subject_name(certificate.get()), name, role);
  check(X509_set_issuer_name(certificate.get(), X509_get_subject_name(authority.get())) == 1,
        "issuer");
  add_extension(certificate.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), authority.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), authority.get(), NID_ext_key_usage,
                role == "coordinator" ? "serverAuth,clientAuth" : "clientAuth");
  add_extension(certificate.get(), authority.get(), NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), authority.get(), NID_authority_key_identifier, "keyid");
  if (const std::string names = alternative_names_of(options); !names.empty()) {
    add_extension(certificate.get(), authority.get(), NID_subject_alt_name, names);
  }
  check(X509_sign(certificate.get(), authority_key.get(), EVP_sha256()) > 0, "signing");
  std::string print = fingerprint(certificate.get());
  append_line(folder / "issued.txt", print + " " + name + " " + role + " " +
                                         time_text(X509_get0_notAfter(certificate.get())));
  write_certificate(out, certificate.get());
  return print;
}

std::vector<std::string> revoke(const std::filesystem::path& folder, const std::string& whom) {
  std::vector<std::string> prints;
  if (is_sha256(whom)) {
    prints.push_back(whom);
  } else if (std::filesystem::is_regular_file(whom)) {
    prints.push_back(fingerprint(read_certificate(whom).get()));
  } else {
    std::istringstream issued(read_list(folder / "issued.txt"));
    for (std::string line; std::getline(issued, line);) {
      std::string print, name;
      std::istringstream(line) >> print >> name;
      if (name == whom && is_sha256(print)) prints.push_back(print);
    }
    if (prints.empty()) {
      throw CertificateError("[cert] " + (folder / "issued.txt").string() +
                             " knows no certificate of " + whom);
    }
  }
  std::string revoked = read_list(folder / "revoked.txt");
  std::erase_if(prints, [&](const std::string& p) { return revoked.find(p) != std::string::npos; });
  for (const std::string& print : prints) revoked += print + "\n";
  if (!prints.empty()) write_file_atomically(folder / "revoked.txt", revoked);
  return prints;
}

}  // namespace fedstill
