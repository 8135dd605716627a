#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "coordinator/reception.h"
#include "launch/sites/service_log.h"
#include "transport/message.h"

namespace fedstill {

// What an administrator may ask of a running coordinator and tell it, beside "stop":
//   status            the round and its members (status_json)
//   rounds            every round: uploads, how it ended and when, its bundle
//   clients           who ever joined: model, images, mode, first round, excluded and why
//   exclude, readmit  a client, by its name; in effect at once and remembered
//   reopen            the round, if it failed; its time begins anew
//   log-level         of the coordinator's log, until it ends
// Answers are cut to what a reply may hold; "left_out" counts the rest.
struct Administration {
  Coordinator& coordinator;
  const Store& store;
  Reception& reception;
  ServiceLog& log;
  std::string job;           // its hash
  std::size_t expected = 0;  // updates the round waits for

  // Throws std::invalid_argument for an unknown request or client, and what the store throws.
  nlohmann::json answer(const StatusRequest& request, const std::string& who, Instant now);
};

// An answer of answer() as a table for people.
std::string answer_text(const std::string& what, const nlohmann::json& answer);

}  // namespace fedstill
