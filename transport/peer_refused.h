#pragma once

#include <string>
#include <utility>

#include "transport/channel.h"

namespace fedstill {

// The other side is there, but does not accept who we are, and said so: until something changes on
// either side, another try ends alike.
class PeerRefused : public ChannelClosed {
 public:
  PeerRefused(const std::string& what, std::string reason)
      : ChannelClosed(what), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }  // as TLS words it: "certificate revoked"

 private:
  std::string reason_;
};

}  // namespace fedstill
