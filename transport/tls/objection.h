#pragma once

#include <string>

namespace fedstill {

// Why a peer whose certificate is genuine may not come in, and what the handshake tells it: who is
// only to wait must not hear that its certificate is bad, or it never dials again.
struct Objection {
  enum class Kind { kUnwelcome, kRevoked, kForNow };
  std::string why{};  // empty: it may come in
  Kind kind = Kind::kUnwelcome;
};

}  // namespace fedstill
