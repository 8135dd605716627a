#include "averaging/client_shards.h"

#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "data/data_error.h"
#include "model/random.h"

namespace fedstill {
namespace {

constexpr std::int64_t kMaxRows = std::int64_t{1} << 40;

void check_counts(std::int64_t images, std::int64_t clients, std::int64_t per_client) {
  if (images < 1 || clients < 1 || per_client < 1 || clients > kMaxRows / per_client ||
      images > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("[averaging] found " + std::to_string(images) + " images for " +
                                std::to_string(clients) + " clients of " +
                                std::to_string(per_client) + ", expected all positive");
  }
  if (per_client > images) {
    throw DataError("[averaging] a client of " + std::to_string(per_client) +
                    " images, but the data set has " + std::to_string(images));
  }
}

}  // namespace

std::span<const std::int32_t> ClientShards::of(std::int64_t client) const {
  const auto i = static_cast<std::size_t>(client);
  const std::int64_t begin = i == 0 ? 0 : ends[i - 1];
  return std::span(rows).subspan(static_cast<std::size_t>(begin),
                                 static_cast<std::size_t>(ends[i] - begin));
}

ClientShards deal_evenly(std::int64_t images, std::int64_t clients, std::int64_t per_client,
                         std::uint64_t seed) {
  check_counts(images, clients, per_client);
  ClientShards shards;
  shards.rows.reserve(static_cast<std::size_t>(clients * per_client));
  shards.ends.reserve(static_cast<std::size_t>(clients));
  // A client takes all of its images from one permutation, or it might own one twice.
  const std::int64_t clients_a_deal = images / per_client;
  std::vector<std::int64_t> order(static_cast<std::size_t>(images));
  for (std::int64_t client = 0; client < clients; ++client) {
    const std::int64_t place = client % clients_a_deal;
    if (place == 0) {
      std::iota(order.begin(), order.end(), 0);
      shuffle(order, derive_key(seed, client / clients_a_deal));
    }
    for (std::int64_t i = 0; i < per_client; ++i) {
      shards.rows.push_back(
          static_cast<std::int32_t>(order[static_cast<std::size_t>(place * per_client + i)]));
    }
    shards.ends.push_back(static_cast<std::int64_t>(shards.rows.size()));
  }
  return shards;
}

ClientShards shards_of(const Split& split) {
  ClientShards shards;
  for (const auto& client : split.clients) {
    for (const std::int64_t row : client) shards.rows.push_back(static_cast<std::int32_t>(row));
    shards.ends.push_back(static_cast<std::int64_t>(shards.rows.size()));
  }
  return shards;
}

}  // namespace fedstill
