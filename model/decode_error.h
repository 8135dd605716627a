#pragma once

#include <stdexcept>

namespace fedstill {

// Damaged or hostile bytes, from a file or from a peer. The message names the origin in brackets,
// what was found and what was expected. Whoever catches it refuses that file or closes that
// connection and goes on.
class DecodeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fedstill
