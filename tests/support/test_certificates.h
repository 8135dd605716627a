#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "transport/tls/credentials.h"

namespace fedstill {

inline constexpr std::chrono::seconds kNoEnd = std::chrono::hours(24 * 365 * 7900);  // about 9900

// A certificate authority of the test's own, made with OpenSSL's C API in a folder that goes with
// it. Issues good certificates and every kind of bad one.
class TestAuthority {
 public:
  struct Wish {
    std::string name = "site-1";
    std::string role = "client";
    std::vector<std::string> hosts{};  // DNS names and IP addresses
    std::string usage = "clientAuth";  // extended key usage; empty: none said
    std::chrono::seconds valid_from{-3600}, valid_until{3600};  // from now
    bool self_signed = false;
  };

  explicit TestAuthority(std::chrono::seconds valid_until = kNoEnd);
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  Credentials issue(const Wish& wish);
  Credentials client(const std::string& name = "site-1") { return issue({.name = name}); }
  Credentials coordinator();  // for localhost, 127.0.0.1 and ::1

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path authority() const { return folder_ / "ca.crt"; }
  // Replaces the file by renaming, as an administrator should.
  std::filesystem::path write(const std::string& name, const std::string& text) const;
  std::filesystem::path write_encrypted_key(const std::string& name) const;

 private:
  struct Keys;
  std::filesystem::path folder_;
  std::unique_ptr<Keys> keys_;
  int serial_ = 1;
};

}  // namespace fedstill
