#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "transport/tls/credentials.h"

namespace fedstill {

// Owners for what OpenSSL hands out. Included by few sources only.
template <auto kFree>
struct OpensslFree {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using BioHandle = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, OpensslFree<X509_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using SslContextHandle = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using SslHandle = std::unique_ptr<SSL, OpensslFree<SSL_free>>;

// The oldest reason in this thread's error queue, in OpenSSL's words; empties the queue.
std::string take_openssl_error();

// Name, role, fingerprint and end; what the certificate does not say stays empty.
PeerIdentity identity_of(X509* certificate);
std::chrono::system_clock::time_point end_of(const X509* certificate);

struct LoadedCredentials {
  CertificateHandle certificate;
  std::vector<CertificateHandle> intermediates;
  KeyHandle key;
  StoreHandle trusted;
};
LoadedCredentials load_credentials(const Credentials& files);  // as check_credentials

}  // namespace fedstill
