#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/channel.h"

namespace fedstill {

// A backend of Channel shows the contract suite how to connect two ends in this process and how to
// put raw bytes into the inbox of the second.
struct ConnectedEnds {
  std::unique_ptr<Channel> first, second;
  std::function<void(std::vector<std::byte>)> inject_into_second;
};
struct ChannelBackend {
  std::string name;
  std::function<ConnectedEnds(const FrameLimits&)> connect;
};

// Over sockets on this machine, plain and encrypted, either side first.
std::vector<ChannelBackend> network_backends();

}  // namespace fedstill
