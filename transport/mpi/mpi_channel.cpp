#include "transport/mpi/mpi_channel.h"

#include <utility>

#include "transport/mpi/exchange.h"

namespace fedstill::mpi {
namespace {

class MpiChannel : public Channel {
 public:
  MpiChannel(std::shared_ptr<Exchange> exchange, Exchange::Line& line)
      : exchange_(std::move(exchange)), line_(line) {}
  ~MpiChannel() override {
    try {
      exchange_->close(line_);
    } catch (const ChannelClosed&) {  // MPI itself has failed; the next call says so
    }
  }
  MpiChannel(const MpiChannel&) = delete;
  MpiChannel& operator=(const MpiChannel&) = delete;

  void send(const Frame& frame) override {
    exchange_->send(line_, encode_frame_head(frame), frame.body);
  }
  void send(Frame&& frame) override {
    std::vector<std::byte> head = encode_frame_head(frame);
    exchange_->send(line_, std::move(head), std::move(frame.body));
  }
  std::optional<Frame> receive(std::chrono::milliseconds wait) override {
    return exchange_->receive(line_, wait);
  }
  void recycle(std::vector<std::byte>&& body) override { exchange_->recycle(std::move(body)); }
  void close() override { exchange_->close(line_); }

 private:
  std::shared_ptr<Exchange> exchange_;
  Exchange::Line& line_;
};

}  // namespace

std::unique_ptr<Channel> make_end(std::shared_ptr<Exchange> exchange, Exchange::Line& line) {
  return std::make_unique<MpiChannel>(std::move(exchange), line);
}

Channels open_channels(const ChannelOptions& options) {
  const auto exchange = std::make_shared<Exchange>(options);
  Channels channels{make_end(exchange, exchange->open(0, true)), {}};
  for (int rank = 0; exchange->rank() == 0 && rank < exchange->size(); ++rank) {
    channels.to_ranks.push_back(make_end(exchange, exchange->open(rank, false)));
  }
  return channels;
}

}  // namespace fedstill::mpi
