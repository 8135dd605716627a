#include <atomic>

#include "model/decode_error.h"
#include "transport/in_process/byte_queue.h"

namespace fedstill {
namespace {

constexpr std::size_t kInboxBytes = std::size_t{64} << 20;

class InProcessChannel : public Channel {
 public:
  InProcessChannel(std::shared_ptr<ByteQueue> inbox, std::shared_ptr<ByteQueue> outbox,
                   const FrameLimits& limits)
      : inbox_(std::move(inbox)), outbox_(std::move(outbox)), limits_(limits) {}
  ~InProcessChannel() override { shut(); }
  InProcessChannel(const InProcessChannel&) = delete;
  InProcessChannel& operator=(const InProcessChannel&) = delete;

  void send(const Frame& frame) override { outbox_->push(encode_frame(frame)); }

  std::optional<Frame> receive(std::chrono::milliseconds wait) override {
    const auto bytes = inbox_->pop(wait);
    // Only the peer's close lets what it sent before be read to the end.
    if (closed_) throw ChannelClosed("[channel] closed");
    if (!bytes) return std::nullopt;
    try {
      return decode_frame(*bytes, limits_);
    } catch (const DecodeError&) {
      shut();
      throw;
    }
  }

  void close() override { shut(); }

 private:
  void shut() {
    closed_ = true;
    inbox_->close();
    outbox_->close();
  }

  std::shared_ptr<ByteQueue> inbox_, outbox_;
  FrameLimits limits_;
  std::atomic<bool> closed_ = false;
};

}  // namespace

std::unique_ptr<Channel> make_in_process_end(std::shared_ptr<ByteQueue> inbox,
                                             std::shared_ptr<ByteQueue> outbox,
                                             const FrameLimits& limits) {
  return std::make_unique<InProcessChannel>(std::move(inbox), std::move(outbox), limits);
}

std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> make_in_process_channel(
    const FrameLimits& limits) {
  const auto there = std::make_shared<ByteQueue>(kInboxBytes);
  const auto back = std::make_shared<ByteQueue>(kInboxBytes);
  return {make_in_process_end(back, there, limits), make_in_process_end(there, back, limits)};
}

}  // namespace fedstill
