#pragma once

#include <string>

#include "training/fit.h"

namespace fedstill {

// Runs a fit; where it diverges the message begins with whose it was: "the student: [fit] …".
template <typename Fit>
auto whose_fit(const std::string& who, const Fit& fit) {
  try {
    return fit();
  } catch (const DivergedError& error) {
    throw DivergedError(who + ": " + error.what());
  }
}

}  // namespace fedstill
