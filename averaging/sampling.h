#pragma once

#include <cstdint>
#include <vector>

namespace fedstill {

// So many different clients of [0, clients), each set of them as likely as any other, in ascending
// order; a function of the key alone. Throws std::invalid_argument where there are not so many, or
// none is asked for: a round never runs with fewer clients than were asked for.
std::vector<std::int64_t> sample_clients(std::int64_t clients, std::int64_t count,
                                         std::uint64_t key);

}  // namespace fedstill
