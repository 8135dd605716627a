#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "transport/tls/objection.h"
#include "transport/tls/server_options.h"

namespace fedstill {

// Who may come in although, or only if, somebody wrote so into a file. Any thread.
class AccessLists {
 public:
  explicit AccessLists(const AccessFiles& files);  // CredentialError

  Objection objection_to(const PeerIdentity& peer) const;
  // Reads the files that changed; whether any list is different now. A file that is damaged or
  // gone leaves its list as it was, and the complaint is made once.
  bool refresh(const std::function<void(const std::string&)>& complain);

 private:
  using Entries = std::unordered_set<std::string>;
  struct List {
    std::filesystem::path path;
    bool holds_fingerprints;
    std::string stamp;  // of the file that was read last
    std::shared_ptr<const Entries> entries;
  };
  void read(List& list);
  bool refresh(List& list, const std::function<void(const std::string&)>& complain);

  mutable std::mutex mutex_;  // guards the pointers; what they point to never changes
  List revoked_, allowed_;
};

}  // namespace fedstill
