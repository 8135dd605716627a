#include "launch/sites/state_claim.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/advice.h"
#include "launch/command_line.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/text_file.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kShown = 12;  // of a hash

std::string text_of(const SiteChoice& choice) {
  const bool is_file = choice.model.starts_with("sha256:");
  return "client " + choice.client + ", " +
         (is_file ? "model file " + choice.model.substr(0, 7 + kShown) + "…"
                  : "model " + choice.model) +
         ", " + grouped(choice.images) + " images, --mode " + choice.mode;
}

json json_of(const SiteChoice& choice) {
  return {{"client", choice.client},
          {"model", choice.model},
          {"mode", choice.mode},
          {"images", choice.images}};
}

// Written before images were, it is taken for that of any number.
SiteChoice read_choice(const fs::path& file, const SiteChoice& mine) {
  try {
    const json found = parse_outside_json(read_text(file, 4096), file.string());
    return {printable(found.at("client")), printable(found.at("model")),
            printable(found.at("mode")), found.value("images", mine.images)};
  } catch (const json::exception& error) {
    throw DecodeError("[client] " + file.string() + " " + complaint_of(error));
  }
}

// Of work that came to nothing.
void remove_remains(const fs::path& state) {
  std::error_code ignored;
  fs::remove(state / "update", ignored);
  for (const auto& entry : fs::directory_iterator(state, ignored)) {
    if (entry.path().extension() == ".checkpoint") fs::remove(entry.path(), ignored);
  }
}

std::string made_text(const MadeUpdate& made) {
  return " and holds what it made for round " + std::to_string(made.round) + " of job " +
         made.job.substr(0, kShown) + "…";
}

}  // namespace

void claim_state(const fs::path& state, const ClientStore& store, const SiteChoice& mine) {
  const fs::path file = state / "site.json";
  if (fs::exists(file)) {
    const SiteChoice found = read_choice(file, mine);
    const bool is_bound = found.client != mine.client || store.update().has_value();
    if (found != mine && is_bound) {
      throw Advised<UsageError>("[client] --state " + state.string() + " is of " + text_of(found) +
                                    (store.update() ? made_text(*store.update()) : "") +
                                    "; asked for: " + text_of(mine),
                                "take part as before, or give another --state");
    }
    if (found != mine) remove_remains(state);
  }
  write_file_atomically(file, json_of(mine).dump() + "\n");
}

}  // namespace fedstill
