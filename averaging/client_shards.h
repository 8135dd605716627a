#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/split.h"

namespace fedstill {

// What every client owns, without an object for each: the rows of a data set, client after client,
// four bytes an image and eight a client.
struct ClientShards {
  std::vector<std::int32_t> rows;
  std::vector<std::int64_t> ends;  // of each client's rows

  std::int64_t clients() const { return static_cast<std::int64_t>(ends.size()); }
  std::span<const std::int32_t> of(std::int64_t client) const;  // Requires: client < clients()
};

// Every client gets so many images, all of one distribution: a seeded permutation of the data set
// cut into pieces, and another one where that is used up, so that no image is owned by two clients
// before all are owned. Throws std::invalid_argument for a count that is not positive, and
// DataError for a client that would own an image twice.
ClientShards deal_evenly(std::int64_t images, std::int64_t clients, std::int64_t per_client,
                         std::uint64_t seed);

ClientShards shards_of(const Split& split);

}  // namespace fedstill
