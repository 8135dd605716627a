#include "transport/tls/http_proxy.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "transport/tls/dial.h"
#include "transport/tls/open_socket.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxAnswerBytes = 8192;

[[noreturn]] void fail(const std::string& why) {
  throw DialError(DialError::Step::kProxy, "[proxy] " + why);
}

std::string to_base64(const std::string& text) {
  std::vector<unsigned char> out((text.size() + 2) / 3 * 4 + 1);
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  return {out.begin(), out.begin() + size};
}

void wait_or_fail(int socket, Need need, SteadyTime deadline) {
  if (need != Need::kNothing && !wait_for(socket, need, deadline)) fail("did not answer in time");
}

void send_all(int socket, const std::string& text, SteadyTime deadline) {
  auto rest = std::as_bytes(std::span(text));
  while (!rest.empty()) {
    const Progress progress = send_some(socket, {rest, {}});
    rest = rest.subspan(progress.bytes);
    wait_or_fail(socket, progress.need, deadline);
  }
}

// Byte by byte: what follows the empty line belongs to the tunnel.
std::string receive_answer(int socket, SteadyTime deadline) {
  std::string answer;
  while (!answer.ends_with("\r\n\r\n")) {
    if (answer.size() >= kMaxAnswerBytes) fail("answer of more than 8192 bytes");
    std::array<std::byte, 1> byte{};
    const Progress progress = receive_some(socket, byte);
    if (progress.ended) fail("closed the connection");
    if (progress.bytes == 1) answer += static_cast<char>(byte[0]);
    wait_or_fail(socket, progress.need, deadline);
  }
  return answer;
}

}  // namespace

void open_tunnel(int socket, const Endpoint& target, const std::string& authorization,
                 SteadyTime deadline) {
  const std::string host = to_string(target);
  if (host.find_first_of(" \t\r\n") != std::string::npos) {
    throw std::invalid_argument("[proxy] host with white space");
  }
  std::string request = "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n";
  if (!authorization.empty()) {
    request += "Proxy-Authorization: Basic " + to_base64(authorization) + "\r\n";
  }
  std::string answer;
  try {
    send_all(socket, request + "\r\n", deadline);
    answer = receive_answer(socket, deadline);
  } catch (const WireError& error) {
    fail(error.what());
  }
  const bool is_http = answer.starts_with("HTTP/1.") && answer.size() > 12;
  if (!is_http || answer[9] != '2') {
    const std::string line = answer.substr(0, answer.find("\r\n"));
    fail("refused to connect to " + host + ": " + to_free_text(line, 100));
  }
}

}  // namespace fedstill
