#pragma once

#include <cstdint>
#include <string>

#include "client/client.h"
#include "launch/stages/material.h"

namespace fedstill {

// What one client will do, and what that costs.
struct ClientPlan {
  std::string name, architecture;
  ClientTask task;
  std::int64_t body_images = 0, head_images = 0;  // seen in training
  std::int64_t steps_per_epoch = 1;
  double cost = 0.0;              // multiply-adds of training
  std::int64_t memory_bytes = 0;  // rough peak of training
};
ClientPlan plan_client(const Job& job, const Material& material, std::size_t index);

}  // namespace fedstill
