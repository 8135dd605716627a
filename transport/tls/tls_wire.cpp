#include "transport/tls/tls_wire.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

// Enough records for one system call to be cheap, few enough to stay in the cache.
constexpr std::size_t kFlushBytes = 128 * 1024;
constexpr std::size_t kWireBytes = 64 * 1024;
constexpr std::size_t kSmallBytes = 16 * 1024;
// Handshake messages after the handshake, key updates mostly, with no data between: each costs more
// to process than to send.
constexpr int kMaxMessages = 16;
// Of a peer that is not verified yet: several times what a handshake with a long chain takes.
constexpr std::uint64_t kMaxHandshakeBytes = 64 * 1024;
constexpr std::size_t kMaxWaitingBytes = 4 * kFlushBytes;

// A BIO that appends to a vector of bytes: never full, its owner sees to that.
int append(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  auto& out = *static_cast<std::vector<std::byte>*>(BIO_get_data(bio));
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes);
  out.insert(out.end(), begin, begin + size);
  *written = size;
  return 1;
}
long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* collecting_method() {
  static const auto method_handle = [] {
    BIO_METHOD* const method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fedstill records");
    BIO_meth_set_write_ex(method, append);
    BIO_meth_set_ctrl(method, control);
    return std::unique_ptr<BIO_METHOD, OpensslFree<BIO_meth_free>>(method);
  }();
  return method_handle.get();
}

void count_message(int is_written, int, int type, const void*, std::size_t, SSL*, void* count) {
  if (is_written == 0 && type == SSL3_RT_HANDSHAKE) ++*static_cast<int*>(count);
}

// Whether the oldest error is an alert about the certificate that this side showed. Of others
// (handshake failure, internal error) another try may end better.
bool is_about_our_certificate() {
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
  constexpr std::array kAlerts{SSL_AD_BAD_CERTIFICATE,     SSL_AD_UNSUPPORTED_CERTIFICATE,
                               SSL_AD_CERTIFICATE_REVOKED, SSL_AD_CERTIFICATE_EXPIRED,
                               SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA,
                               SSL_AD_ACCESS_DENIED,       SSL_AD_CERTIFICATE_REQUIRED};
  return std::ranges::any_of(kAlerts, [reason = ERR_GET_REASON(error)](int alert) {
    return reason == SSL_AD_REASON_OFFSET + alert;
  });
}

[[noreturn]] void throw_tls_error(const std::string& refusal) {
  const bool is_refusal = is_about_our_certificate();
  const std::string reason = take_openssl_error();
  if (!refusal.empty()) throw Distrust("[tls] " + refusal);
  constexpr std::string_view kAlert = " alert ";  // "tlsv1 alert unknown ca"
  const std::size_t alert = reason.find(kAlert);
  if (alert == std::string::npos) throw WireError("[tls] " + reason);
  const std::string said = reason.substr(alert + kAlert.size());
  if (is_refusal) throw RefusalAlert("[tls] the peer refused: " + said, said);
  throw WireError("[tls] the peer refused: " + said);
}

}  // namespace

TlsWire::TlsWire(SSL_CTX* context, int socket, Admission admission)
    : socket_(socket), admission_(std::move(admission)), ssl_(SSL_new(context)) {
  BIO* const incoming = BIO_new_socket(socket, BIO_NOCLOSE);
  BIO* const outgoing = BIO_new(collecting_method());
  if (!ssl_ || incoming == nullptr || outgoing == nullptr) throw WireError("[tls] no memory");
  BIO_set_data(outgoing, &records_);
  BIO_set_init(outgoing, 1);
  SSL_set_bio(ssl_.get(), incoming, outgoing);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_msg_callback(ssl_.get(), count_message);
  SSL_set_msg_callback_arg(ssl_.get(), &messages_);
}

Need TlsWire::need_after(int result) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Need::kReadable;
    case SSL_ERROR_WANT_WRITE:
      return Need::kWritable;
    case SSL_ERROR_SYSCALL:
      if (system_error == 0) throw WireError("[tls] the peer closed during the handshake");
      if (ERR_peek_error() == 0) throw_wire_error("receive", system_error);
      [[fallthrough]];
    default:
      throw_tls_error(refusal_);
  }
}

Need TlsWire::handshake() {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    messages_ = 0;
    return flush();
  }
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN) {
    throw WireError("[tls] the peer closed during the handshake");
  }
  try {
    const Need need = need_after(result);
    if (BIO_number_read(SSL_get_rbio(ssl_.get())) > kMaxHandshakeBytes) {
      throw WireError("[tls] " + std::to_string(kMaxHandshakeBytes) +
                      " bytes and no end of the handshake");
    }
    const Need flushed = flush();
    return flushed == Need::kNothing ? need : flushed;
  } catch (const WireError&) {
    try {
      flush();  // the alert that tells the peer why
    } catch (const WireError&) {
    }
    throw;
  }
}

Progress TlsWire::read(std::span<std::byte> out) {
  Progress progress;
  while (progress.bytes < out.size()) {
    ERR_clear_error();
    std::size_t count = 0;
    const int messages = messages_;
    const auto rest = out.subspan(progress.bytes);
    const int result = SSL_read_ex(ssl_.get(), rest.data(), rest.size(), &count);
    if (result == 1) {
      progress.bytes += count;
      messages_ = 0;
      continue;
    }
    const int why = SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_WANT_READ && messages_ != messages) {
      answer_message();
      continue;
    }
    // What came before an end or an error is handed out first; the next call reports it again.
    if (progress.bytes > 0 && why != SSL_ERROR_WANT_READ) break;
    progress.ended = why == SSL_ERROR_ZERO_RETURN;
    if (!progress.ended) progress.need = need_after(result);
    break;
  }
  return progress;
}

// A key update may have left an answer to be sent.
void TlsWire::answer_message() {
  if (messages_ > kMaxMessages) throw WireError("[tls] too many key updates");
  flush();
  if (records_.size() - sent_ > kMaxWaitingBytes) throw WireError("[tls] answers pile up");
}

std::size_t TlsWire::encrypt(std::span<const std::byte> bytes) {
  ERR_clear_error();
  std::size_t count = 0;
  const int result =
      SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kWireBytes), &count);
  if (result != 1) {
    need_after(result);
    throw WireError("[tls] cannot encrypt yet");  // renegotiation is off: nothing to wait for
  }
  return count;
}

Progress TlsWire::write(const std::array<std::span<const std::byte>, 2>& pieces) {
  Progress progress;
  const std::size_t size = pieces[0].size() + pieces[1].size();
  if (size > kSmallBytes) records_.reserve(kFlushBytes + 2 * kWireBytes);  // once, not by doubling
  for (std::span<const std::byte> piece : pieces) {
    while (!piece.empty()) {
      if (records_.size() - sent_ >= kFlushBytes) {
        progress.need = flush();
        if (progress.need != Need::kNothing) return progress;
      }
      const std::size_t count = encrypt(piece);
      progress.bytes += count;
      piece = piece.subspan(count);
    }
  }
  progress.need = flush();
  if (records_.empty() && records_.capacity() > kSmallBytes) records_ = {};  // idle ones hold none
  return progress;
}

Need TlsWire::flush() {
  while (sent_ < records_.size()) {
    const Progress progress = send_some(socket_, {std::span(records_).subspan(sent_), {}});
    if (progress.need != Need::kNothing) return progress.need;
    sent_ += progress.bytes;
  }
  records_.clear();
  sent_ = 0;
  return Need::kNothing;
}

void TlsWire::end() noexcept {
  try {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    flush();
  } catch (const std::exception&) {  // a goodbye that cannot be said
  }
  ERR_clear_error();
  ::shutdown(socket_, SHUT_WR);
}

PeerIdentity TlsWire::peer() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) throw WireError("[tls] the peer showed no certificate");
  PeerIdentity peer = identity_of(certificate);
  const STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl_.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    peer.valid_until = std::min(peer.valid_until, end_of(sk_X509_value(chain, i)));
  }
  return peer;
}

}  // namespace fedstill
