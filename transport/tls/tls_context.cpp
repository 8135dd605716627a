#include "transport/tls/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "transport/tls/openssl_handles.h"
#include "transport/tls/tls_wire.h"

namespace fedstill {
namespace {

constexpr std::size_t kReadAheadBytes = 128 * 1024;
constexpr long kMaxPeerChainBytes = 32 * 1024;

void check(long result, const char* what) {
  if (result != 1) {
    throw CredentialError("[tls] " + std::string(what) + ": " + take_openssl_error());
  }
}

// OpenSSL makes an alert of it: certificate revoked, handshake failure, bad certificate.
int verify_error_of(Objection::Kind kind) {
  if (kind == Objection::Kind::kRevoked) return X509_V_ERR_CERT_REVOKED;
  return kind == Objection::Kind::kForNow ? X509_V_ERR_APPLICATION_VERIFICATION
                                          : X509_V_ERR_CERT_REJECTED;
}

// Verifies one link of the peer's chain; the last call is for its own certificate.
int verify_link(int is_genuine, X509_STORE_CTX* store) {
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& wire = *static_cast<TlsWire*>(SSL_get_app_data(ssl));
  if (is_genuine != 1) {
    wire.note_refusal(X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    return 0;
  }
  if (X509_STORE_CTX_get_error_depth(store) > 0) return 1;
  try {
    const Objection objection =
        wire.admission()(identity_of(X509_STORE_CTX_get_current_cert(store)));
    if (objection.why.empty()) return 1;
    wire.note_refusal(objection.why);
    X509_STORE_CTX_set_error(store, verify_error_of(objection.kind));
  } catch (const std::exception& error) {  // must not cross OpenSSL's frames
    wire.note_refusal(error.what());
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  }
  return 0;
}

bool is_address(const std::string& host) {
  in6_addr unused{};
  return ::inet_pton(AF_INET, host.c_str(), &unused) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &unused) == 1;
}

}  // namespace

struct TlsContext::State {
  SslContextHandle context;
  Admission admission;
};

TlsContext::TlsContext(const Credentials& credentials, Admission admission)
    : state_(std::make_unique<State>()) {
  LoadedCredentials loaded = load_credentials(credentials);
  state_->admission = std::move(admission);
  state_->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = state_->context.get();
  check(context != nullptr ? 1 : 0, "no context");
  check(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION), "TLS 1.3");
  check(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION), "TLS 1.3");
  check(SSL_CTX_use_certificate(context, loaded.certificate.get()), "certificate");
  for (const auto& link : loaded.intermediates) {
    check(SSL_CTX_add1_chain_cert(context, link.get()), "intermediate");
  }
  check(SSL_CTX_use_PrivateKey(context, loaded.key.get()), "key");
  SSL_CTX_set_cert_store(context, loaded.trusted.release());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_link);
  // Unread tickets would turn a peer's close into a reset that eats its last bytes, and a resumed
  // session would not be verified again.
  check(SSL_CTX_set_num_tickets(context, 0), "tickets");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // idle connections hold no buffers
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);     // no message is processed unseen
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAheadBytes);
  SSL_CTX_set_max_cert_list(context, kMaxPeerChainBytes);
}

TlsContext::~TlsContext() = default;

std::unique_ptr<Wire> TlsContext::accept(int socket) const {
  auto wire = std::make_unique<TlsWire>(state_->context.get(), socket, state_->admission);
  SSL_set_accept_state(wire->ssl());
  return wire;
}

std::unique_ptr<Wire> TlsContext::connect(int socket, const std::string& server_name) const {
  auto wire = std::make_unique<TlsWire>(state_->context.get(), socket, state_->admission);
  SSL* const ssl = wire->ssl();
  SSL_set_connect_state(ssl);
  SSL_set_hostflags(ssl,
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_address(server_name)) {
    check(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name.c_str()), "server name");
  } else {
    check(SSL_set1_host(ssl, server_name.c_str()), "server name");
    check(SSL_set_tlsext_host_name(ssl, server_name.c_str()), "server name");
  }
  return wire;
}

}  // namespace fedstill
