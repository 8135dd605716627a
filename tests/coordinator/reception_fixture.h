#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/reception.h"
#include "tests/coordinator/fixture.h"

namespace fedstill {

// A coordinator at its reception, and peers that keep what they are sent.
class ReceptionFixture : public testing::Test {
 protected:
  struct Peer {
    std::string name;
    Reception::Id id = 0;
    std::vector<Frame> outbox;
    std::string ended;  // the reason
    bool held = false;
  };

  ReceptionFixture() {
    options_.plan = {std::string(64, 'a'), 1, std::string(64, 'b'), 3};
    options_.image = {1, 4, 4};
    options_.classes = 3;
  }
  // As after a restart of the process.
  void start(ReceptionOptions reception) {
    reception_.reset();
    coordinator_.reset();
    store_.reset();
    store_.emplace(folder_.path());
    coordinator_.emplace(options_, *store_, now_);
    reception_.emplace(*coordinator_, std::move(reception));
  }
  std::unique_ptr<Peer> open(const std::string& name, const std::string& role = "client") {
    auto peer = std::make_unique<Peer>();
    peer->name = name;
    Line line{[p = peer.get()](Frame frame) { p->outbox.push_back(std::move(frame)); },
              [p = peer.get()](const std::string& reason) { p->ended = reason; },
              [p = peer.get()](bool held) { p->held = held; }};
    peer->id = reception_->open(name, role, std::move(line), now_);
    return peer;
  }
  void say(Peer& peer, const Message& message, std::vector<std::byte> body = {}) {
    reception_->receive(peer.id, {message, std::move(body)}, now_);
  }

  TemporaryFolder folder_;
  Instant now_{0};
  CoordinatorOptions options_;
  std::optional<Store> store_;
  std::optional<Coordinator> coordinator_;
  std::optional<Reception> reception_;
};

}  // namespace fedstill
