#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/clock.h"
#include "tests/support/test_certificates.h"
#include "transport/tls/dial.h"
#include "transport/tls/server.h"

namespace fedstill {

// What the network benchmarks share: certificates, a server that takes or sends chunks, the
// machine.
struct Keys {
  TestAuthority authority;
  Credentials coordinator = authority.coordinator(), client = authority.client();
};

inline Frame chunk(std::size_t bytes) {
  return {BlobChunk{std::string(64, 'a'), 0}, std::vector<std::byte>(bytes, std::byte{7})};
}

// A server that takes chunks, or sends them where `downloads` says so, and its clients.
class Setup {
 public:
  Setup(Keys* keys, std::uint64_t to_send, std::size_t chunk_bytes) : keys_(keys) {
    ServerOptions options;
    if (keys != nullptr) options.credentials = keys->coordinator;
    ServerHandlers handlers;
    handlers.on_frame = [this](const ConnectionPtr& connection, const Frame& frame) {
      received_[connection.get()] += frame.body.size();
      if (kind_of(frame.message) == MessageKind::kLeave) connection->send({Leave{"done"}, {}});
    };
    if (to_send > 0) {
      handlers.on_open =
          handlers.on_drained = [this, to_send, chunk_bytes](const ConnectionPtr& connection) {
            std::uint64_t& sent = sent_[connection.get()];
            for (int ahead = 0; ahead < 2 && sent < to_send; ++ahead, sent += chunk_bytes) {
              connection->send(chunk(chunk_bytes));
            }
          };
    }
    server_ = std::make_unique<Server>(options, handlers);
    server_->start();
  }
  std::unique_ptr<NetworkChannel> dial_in() {
    const Endpoint endpoint{"127.0.0.1", server_->port()};
    return keys_ != nullptr ? dial(endpoint, keys_->client) : dial_plain(endpoint);
  }
  Server& server() { return *server_; }

 private:
  Keys* keys_;
  std::map<const Connection*, std::uint64_t> received_, sent_;
  std::unique_ptr<Server> server_;
};

inline std::string first_value(const char* path, const char* key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 2);
  }
  return "?";
}

inline void print_machine(const std::string& settings) {
  double load = 0;
  getloadavg(&load, 1);
  std::printf("%s, %u cores, load %.1f; %s\n", first_value("/proc/cpuinfo", "model name").c_str(),
              std::thread::hardware_concurrency(), load, settings.c_str());
  std::fflush(stdout);
}

}  // namespace fedstill
