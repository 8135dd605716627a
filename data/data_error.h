#pragma once

#include <stdexcept>

namespace fedstill {

// A user's data is missing or wrong. The message says which file or setting, what was found and
// what was expected.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fedstill
