#pragma once

#include <stdexcept>
#include <string>

namespace fedstill::tests {

// What the call says when it throws; "no error" if it does not.
template <typename Exception = std::invalid_argument, typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace fedstill::tests
