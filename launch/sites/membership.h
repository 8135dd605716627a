#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "client/participant.h"
#include "transport/blob_store.h"
#include "transport/tls/dial.h"

namespace fedstill {

// What a coordinator may fill the disk of a site with.
inline constexpr std::size_t kMaxSiteBlobBytes = std::size_t{4} << 30;
inline constexpr BlobLimits kSiteLimits{kMaxSiteBlobBytes, 4 * kMaxSiteBlobBytes};

// Whose job a process takes part in, as whom, and how.
struct Membership {
  std::string coordinator;             // HOST:PORT
  std::filesystem::path identity;      // what `fedstill cert install` left
  std::filesystem::path state;         // of the session's store; gets audit.jsonl
  std::filesystem::path revoked = {};  // the authority's list, or none
  std::string proxy = {};              // HOST:PORT, or none
  std::int64_t bytes_per_second = 0;   // each way; 0: no limit
};

// The coordinator refused, for good.
class RefusedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Connects to the coordinator, as take_part() wants it: throws NotAccepted where its certificate
// is not accepted, ChannelClosed for whatever time may mend, and CredentialError where this side's
// own files are of no use (once they were, they may be being renewed: ChannelClosed).
class Dialler {
 public:
  explicit Dialler(const Membership& membership);
  std::unique_ptr<Channel> operator()();

 private:
  Endpoint server_;
  Credentials credentials_;
  DialOptions options_;
  bool was_there_ = false;  // dialled at least once
};

// Why the coordinator cannot be dialled now, or nothing. Throws CredentialError where this side's
// own files are of no use: no waiting mends that.
std::string find_dial_problem(const Membership& membership);

// Why there is no connection now (trouble), and after that "connected" or "connected again".
using ConnectionNews = std::function<void(const std::string& what, bool is_trouble)>;

// Takes part until the last bundle, which is returned and the newest in the session's store. Of the
// work, on_trouble is `tell`'s, and on_frame is also called after the audit log has the frame.
// Throws RefusedError, Stopped, and what take_part() throws.
Delivery take_part_as(const Membership& membership, ClientSession& session, SiteWork work,
                      const ConnectionNews& tell, const std::atomic<bool>& stop);

}  // namespace fedstill
