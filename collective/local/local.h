#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "collective/collective.h"

// Ranks that are threads of one process. No copies but the results: whoever waits reduces what is
// ready, straight from the memory of one rank into that of the others.
namespace fedstill::local {

// One handle per rank, each for one thread. A handle that is destroyed while others need its rank
// makes them throw CollectiveError at once; so do operations that do not match.
// Throws std::invalid_argument unless size >= 1.
std::vector<std::unique_ptr<Collective>> make_group(int size,
                                                    const CollectiveOptions& options = {});

// Runs body on `size` threads, one rank each, and rethrows what the first rank to fail has thrown.
void run_ranks(int size, const std::function<void(Collective&)>& body,
               const CollectiveOptions& options = {});

}  // namespace fedstill::local
