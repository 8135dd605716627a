#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "coordinator/round.h"
#include "transport/blob_store.h"
#include "transport/frame.h"

namespace fedstill {

struct Reaction;
// What the coordinator's thread does when the errand is done. Throws what Coordinator::receive()
// throws. To be called once, also where the connection has gone meanwhile.
using Answer = std::function<Reaction(Instant now)>;
// What takes long (files are written, hashed and flushed, models are checked) and touches no state
// but those files: for any one thread at a time, in the order in which the errands were given.
using Errand = std::function<Answer()>;

// What a frame leads to, for the one who sent it.
struct Reaction {
  struct Transfer {
    std::filesystem::path file;
    BlobInfo blob;
    std::uint64_t offset = 0;
  };
  std::vector<Frame> frames;         // to be sent in order…
  std::optional<Transfer> transfer;  // …then this, chunk by chunk, instead of any before
  Errand errand = {};  // …or this done before the peer's next frame is looked at; then its answer
};

// The reaction with its errand done here and now.
inline Reaction settled(Reaction reaction, Instant now) {
  if (!reaction.errand) return reaction;
  return reaction.errand()(now);
}

// An errand of work() → Result and then(std::shared_future<Result>, now) → Reaction, whose get()
// throws what the work threw.
template <typename Work, typename Then>
Reaction elsewhere(Work work, Then then) {
  Reaction reaction;
  reaction.errand = [work = std::move(work), then = std::move(then)]() -> Answer {
    std::packaged_task<std::invoke_result_t<const Work&>()> task([&work] { return work(); });
    task();
    return [result = task.get_future().share(), then](Instant now) { return then(result, now); };
  };
  return reaction;
}

}  // namespace fedstill
