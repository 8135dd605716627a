#include "tests/transport/channel_contract.h"
#include "transport/in_process/byte_queue.h"

namespace fedstill {
namespace {

constexpr std::size_t kCapacity = std::size_t{16} << 20;

ConnectedEnds connect_in_process(const FrameLimits& limits) {
  const auto there = std::make_shared<ByteQueue>(kCapacity);
  const auto back = std::make_shared<ByteQueue>(kCapacity);
  return {make_in_process_end(back, there, limits), make_in_process_end(there, back, limits),
          [there](std::vector<std::byte> bytes) { there->push(std::move(bytes)); }};
}

INSTANTIATE_TEST_SUITE_P(Channels, ChannelContract,
                         testing::Values(ChannelBackend{"in_process", connect_in_process}),
                         [](const auto& backend) { return backend.param.name; });

INSTANTIATE_TEST_SUITE_P(Network, ChannelContract, testing::ValuesIn(network_backends()),
                         [](const auto& backend) { return backend.param.name; });

TEST(InProcessChannel, TheFactoryConnectsBothEnds) {
  const auto [first, second] = make_in_process_channel();
  first->send(chunk_frame(1, some_bytes(10)));
  EXPECT_EQ(second->receive(std::chrono::seconds{60})->body, some_bytes(10));
  second->close();
  EXPECT_THROW(first->send(chunk_frame(1, some_bytes(1))), ChannelClosed);
}

TEST(ByteQueue, HoldsBackASenderUntilThereIsRoom) {
  ByteQueue queue(10);
  queue.push(some_bytes(6, 1));
  auto sending = std::async(std::launch::async, [&] { queue.push(some_bytes(5, 2)); });
  EXPECT_EQ(sending.wait_for(std::chrono::milliseconds{1}), std::future_status::timeout);
  EXPECT_EQ(queue.pop(std::chrono::seconds{60}), some_bytes(6, 1));
  sending.get();
  EXPECT_EQ(queue.pop(std::chrono::seconds{60}), some_bytes(5, 2));
}

TEST(ByteQueue, AFrameLargerThanTheCapacityPassesAlone) {
  ByteQueue queue(10);
  queue.push(some_bytes(100));
  EXPECT_EQ(queue.pop(std::chrono::seconds{60}), some_bytes(100));
}

}  // namespace
}  // namespace fedstill
