#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "client/client.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "training/device.h"

namespace fedstill {

// How many images training shows to the networks.
struct ClientWorkload {
  std::int64_t body_images = 0, head_images = 0;
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
// The architecture that a client trains in the first round and joins with.
const std::string& first_architecture(const Job& job, std::size_t index);

ClientPlan plan_client(const Run& run, const Material& material, std::size_t index);

// The work of a client that has these images in a round, wherever it runs: in the first the
// architecture's, from the second on with the lesson of the one before. The stream gives it its own
// random numbers: client_stream(name).
struct ClientRound {
  std::int64_t number = 1;
  std::string architecture;
  std::shared_ptr<const Lesson> lesson = {};
};
ClientTask client_task(const Job& job, const ClientRound& round, Shard shard, ImageView pool,
                       std::int64_t classes, Normalisation normalisation, std::uint64_t stream);
void place_on(at::Device device, ClientTask& task);  // where it trains; else on the cpu
// Of the head with which a coordinator speaks for its clients.
HeadOptions joint_head_options(const Job& job);
ClientWorkload workload_of(const Job& job, const ClientRound& round, std::int64_t samples);

// Of the clients that train at once on a device that so many ranks share: what was asked for (0:
// nothing), else three quarters of what is free or, whatever the others hold there by now, of this
// rank's part.
std::int64_t device_budget(std::int64_t asked, DeviceMemory memory, std::int64_t ranks);

// The number behind "client-", as in simulated names, or else a hash of the name: "client-07" draws
// the same in one process and at its site.
std::uint64_t client_stream(std::string_view name);

}  // namespace fedstill
