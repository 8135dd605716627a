#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "client/client_store.h"

namespace fedstill {

// As whom, with what and how a site takes part.
struct SiteChoice {
  std::string client, model, mode;  // model: OwnModel::content
  std::int64_t images = 0;
  bool operator==(const SiteChoice&) const = default;
};

// A state folder is one site's, remembered in site.json. Its choice may change as long as nothing
// was made that the coordinator might take: what was made for a model may not leave under another
// name, and a model never where predictions were promised. Throws UsageError with both choices in
// words, DecodeError for a damaged site.json.
void claim_state(const std::filesystem::path& state, const ClientStore& store,
                 const SiteChoice& mine);

}  // namespace fedstill
