#pragma once

#include <string>
#include <utility>

namespace fedstill {

// What a user can do about an error, where its type alone does not tell.
class Advice {
 public:
  explicit Advice(std::string hint) : hint_(std::move(hint)) {}
  const std::string& hint() const { return hint_; }

 private:
  std::string hint_;
};

// An error of some type that brings its hint along.
template <typename Error>
class Advised : public Error, public Advice {
 public:
  Advised(const std::string& what, std::string hint) : Error(what), Advice(std::move(hint)) {}
};

}  // namespace fedstill
