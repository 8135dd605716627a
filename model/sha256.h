#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace fedstill {

// SHA-256 of bytes as 64 lower-case hex digits: the name of everything content-addressed.
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex_of_file(
    const std::filesystem::path& path);  // streams; throws std::system_error

// The same over many pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::byte> bytes);
  std::string hex();  // finishes; Requires: called once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fedstill
