#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/stages/federation.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// What a run remembers of a trained client.
struct ClientRecord {
  std::string name, architecture;
  std::int64_t samples = 0;
  std::vector<std::int64_t> class_counts;
  std::string sha256;  // of its update file
  double seconds = 0.0, images_per_second = 0.0;
  std::vector<double> losses, head_losses;  // per epoch
};
nlohmann::json to_json(const ClientRecord& record);
ClientRecord client_record(const nlohmann::json& saved);

// "client-00", …: sorted by name they are in the order of the split.
std::string client_name(std::size_t index, std::size_t count);

// Trains those of these clients that are not done yet and remembers them in the run folder; each
// is then handed to on_done, from any worker.
void train_some(const Run& run, const Material& material, const std::vector<std::size_t>& clients,
                const std::function<void(const ClientRecord&)>& on_done = {});

// Trains every client that is not done yet, at most run.workers at once, and sends each update
// through the federation. In the order of the split; the same whatever the number of workers.
std::vector<ClientRecord> train_clients(const Run& run, const Material& material,
                                        Federation& federation);

}  // namespace fedstill
