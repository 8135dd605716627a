#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <iterator>
#include <string>

namespace fedstill::tests {

// A port that nobody listened on a moment ago.
inline std::uint16_t free_port() {
  boost::asio::io_context context;
  using boost::asio::ip::tcp;
  return tcp::acceptor(context, {boost::asio::ip::address_v4::loopback(), 0})
      .local_endpoint()
      .port();
}

// The whole answer of a server on this machine, head and body; empty where nobody listens.
inline std::string http_get(std::uint16_t port, const std::string& path) {
  boost::asio::ip::tcp::iostream stream("127.0.0.1", std::to_string(port));
  stream << "GET " << path << " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
         << std::flush;
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace fedstill::tests
