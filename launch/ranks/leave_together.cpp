#include "launch/ranks/leave_together.h"

#include <thread>

#include "model/decode_error.h"

namespace fedstill {
namespace {

bool drop_frame(Channel& channel) {  // false: there was none
  try {
    return channel.receive(std::chrono::milliseconds{0}).has_value();
  } catch (const ChannelClosed&) {
  } catch (const DecodeError&) {
  }
  return false;
}

}  // namespace

void leave_together(Collective& leaving, const mpi::Channels& channels,
                    std::chrono::milliseconds grace) {
  const auto until = std::chrono::steady_clock::now() + grace;
  Pending others = leaving.barrier();
  while (!others.is_done() && std::chrono::steady_clock::now() < until) {
    bool came = drop_frame(*channels.to_first);
    for (const auto& channel : channels.to_ranks) came |= drop_frame(*channel);
    if (!came) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace fedstill
