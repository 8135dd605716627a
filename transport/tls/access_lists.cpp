#include "transport/tls/access_lists.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "transport/tls/file_stamp.h"
#include "transport/tls/tls_context.h"

namespace fedstill {
namespace {

std::string_view trim(std::string_view line) {
  line = line.substr(0, line.find('#'));
  constexpr const char* kBlank = " \t\r";
  const std::size_t begin = line.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

AccessLists::AccessLists(const AccessFiles& files)
    : revoked_{files.revoked, true, {}, {}}, allowed_{files.allowed, false, {}, {}} {
  if (!revoked_.path.empty()) read(revoked_);
  if (!allowed_.path.empty()) read(allowed_);
}

Objection AccessLists::objection_to(const PeerIdentity& peer) const {
  std::shared_ptr<const Entries> revoked, allowed;
  {
    const std::lock_guard lock(mutex_);
    revoked = revoked_.entries;
    allowed = allowed_.entries;
  }
  if (revoked && revoked->contains(peer.fingerprint)) {
    return {"its certificate is revoked", Objection::Kind::kRevoked};
  }
  const bool is_admin = peer.role == "admin";  // who was given that role stays in charge
  if (allowed && !is_admin && !allowed->contains(peer.name)) {
    return {"its name is not on the allow-list"};
  }
  return {};
}

void AccessLists::read(List& list) {
  list.stamp = stamp_of(list.path);  // before reading: a later change must show
  const std::string origin = "[access] file " + list.path.string();
  std::ifstream file(list.path);
  if (!file) throw CredentialError(origin + ": cannot be read: " + std::strerror(errno));
  auto entries = std::make_shared<Entries>();
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::string entry(trim(line));
    if (entry.empty()) continue;
    if (list.holds_fingerprints ? !is_sha256(entry) : !is_name(entry)) {
      throw CredentialError(origin + " line " + std::to_string(number) + ": expected a " +
                            (list.holds_fingerprints ? "fingerprint of 64 lower-case hex digits"
                                                     : "name of [a-zA-Z0-9._-]"));
    }
    entries->insert(entry);
  }
  if (file.bad()) throw CredentialError(origin + ": cannot be read");
  const std::lock_guard lock(mutex_);
  list.entries = std::move(entries);
}

bool AccessLists::refresh(List& list, const std::function<void(const std::string&)>& complain) {
  if (list.path.empty() || stamp_of(list.path) == list.stamp) return false;
  try {
    read(list);
    return true;
  } catch (const CredentialError& error) {
    complain(std::string(error.what()) + "; the list stays as it was");
    return false;
  }
}

bool AccessLists::refresh(const std::function<void(const std::string&)>& complain) {
  const bool is_other_revoked = refresh(revoked_, complain);
  return refresh(allowed_, complain) || is_other_revoked;
}

}  // namespace fedstill
