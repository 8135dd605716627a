#pragma once

#include <string>
#include <utility>

#include "transport/channel.h"

namespace fedstill {

// The other side is there, but one of the two does not accept who the other is: until something
// changes on either side, another try ends alike.
class NotAccepted : public ChannelClosed {
 public:
  using ChannelClosed::ChannelClosed;
};

// It was the other side, and it said so.
class PeerRefused : public NotAccepted {
 public:
  PeerRefused(const std::string& what, std::string reason)
      : NotAccepted(what), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }  // as TLS words it: "certificate revoked"

 private:
  std::string reason_;
};

}  // namespace fedstill
