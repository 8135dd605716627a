#include "launch/ranks/say.h"

#include <chrono>
#include <thread>
#include <utility>

#include "training/fit.h"

namespace fedstill {

void finish(Pending pending, const std::atomic<bool>& stop) {
  for (int looks = 0; !pending.is_done(); ++looks) {
    if (stop.load()) throw Stopped("[mpi] stopped while waiting for other ranks");
    if (looks < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
}

std::string say(Collective& group, std::string text, int from, const std::atomic<bool>& stop) {
  auto size = static_cast<std::int64_t>(text.size());
  finish(group.broadcast({&size, 1, ElementType::kInt64}, from), stop);
  text.resize(static_cast<std::size_t>(size));
  if (size > 0)
    finish(group.broadcast({text.data(), text.size(), ElementType::kUint8}, from), stop);
  return text;
}

}  // namespace fedstill
