#include "transport/tls/refusals.h"

namespace fedstill {

bool Refusals::note(const std::string& peer, SteadyTime now) {
  if (limits_.most == 0 || is_shut_out(peer, now)) return false;
  const auto known = places_.find(peer);
  const bool goes_on = known != places_.end() && !known->second->is_out &&
                       now - known->second->began < limits_.window;
  if (!goes_on) {
    if (known != places_.end()) {
      entries_.erase(known->second);
    } else if (entries_.size() >= limits_.max_peers) {
      places_.erase(entries_.front().peer);
      entries_.pop_front();
    }
    places_[peer] = entries_.insert(entries_.end(), {peer, now});
  }
  const auto place = places_.at(peer);
  if (++place->count <= limits_.most) return false;
  place->is_out = true;
  place->began = now;
  entries_.splice(entries_.end(), entries_, place);
  return true;
}

bool Refusals::is_shut_out(const std::string& peer, SteadyTime now) const {
  const auto known = places_.find(peer);
  if (known == places_.end()) return false;
  return known->second->is_out && now - known->second->began < limits_.shut_out;
}

}  // namespace fedstill
