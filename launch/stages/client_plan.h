#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/client.h"
#include "launch/stages/material.h"

namespace fedstill {

// How many images training shows to the networks.
struct ClientWorkload {
  std::int64_t body_images = 0, head_images = 0;
  std::int64_t steps_per_epoch = 1;
  std::int64_t images() const { return body_images + head_images; }
};

// What one client will do, and what that costs.
struct ClientPlan {
  std::string name, architecture;
  ClientTask task;
  ClientWorkload load;
  double cost = 0.0;              // multiply-adds of training
  std::int64_t memory_bytes = 0;  // rough peak of training
};
ClientPlan plan_client(const Job& job, const Material& material, std::size_t index);

// The work of a client that has these images, wherever it runs. The stream gives it its own random
// numbers: client_stream(name).
ClientTask client_task(const Job& job, Shard shard, ImageView pool, std::int64_t classes,
                       Normalisation normalisation, const std::string& architecture,
                       std::uint64_t stream);
ClientWorkload workload_of(const Job& job, std::int64_t samples);

// The number behind "client-", as in simulated names, or else a hash of the name: "client-07" draws
// the same in one process and at its site.
std::uint64_t client_stream(std::string_view name);

}  // namespace fedstill
