#include "launch/ranks/blob_exchange.h"

#include <stdexcept>

#include "model/decode_error.h"
#include "training/fit.h"
#include "transport/blob_sender.h"

namespace fedstill {
namespace {

constexpr std::chrono::milliseconds kLook{100};  // for a wish to stop

[[noreturn]] void unexpected(const Frame& frame, const std::string& expected) {
  throw DecodeError("[ranks] found a " + std::string(name(kind_of(frame.message))) + ", expected " +
                    expected);
}

template <typename T>
T expect(const Frame& frame, const std::string& expected) {
  const T* message = std::get_if<T>(&frame.message);
  if (message == nullptr) unexpected(frame, expected);
  return *message;
}

void check_not_stopped(const std::atomic<bool>& stop) {
  if (stop.load()) throw Stopped("[ranks] stopped while talking to another rank");
}

}  // namespace

Frame next_frame(Channel& channel, const std::atomic<bool>& stop) {
  for (;;) {
    check_not_stopped(stop);
    if (auto frame = channel.receive(kLook)) return std::move(*frame);
  }
}

void send_blob(Channel& channel, const std::filesystem::path& file, const std::string& sha256,
               const std::string& purpose, const std::atomic<bool>& stop) {
  const BlobInfo blob{sha256, std::filesystem::file_size(file)};
  channel.send({BlobOffer{blob.sha256, blob.bytes, purpose}, {}});
  const auto request = expect<BlobRequest>(next_frame(channel, stop), "where the blob is wanted");
  if (request.sha256 != sha256 || request.offset > blob.bytes) {
    throw DecodeError("[ranks] found a request of another blob than was offered");
  }
  if (request.offset == blob.bytes) return;
  BlobSender sender(file, blob, request.offset);
  while (auto chunk = sender.next_chunk()) {
    check_not_stopped(stop);
    channel.send(std::move(*chunk));
  }
  const auto progress = expect<BlobProgress>(next_frame(channel, stop), "that the blob arrived");
  if (progress.sha256 != sha256 || progress.offset != blob.bytes) {
    throw DecodeError("[ranks] a blob was not taken whole");
  }
}

std::vector<Frame> BlobIntake::receive(const Frame& frame) {
  if (const auto* offer = std::get_if<BlobOffer>(&frame.message)) return begin(*offer);
  if (const auto* chunk = std::get_if<BlobChunk>(&frame.message)) return go_on(*chunk, frame.body);
  unexpected(frame, "an offer or a chunk of a blob");
}

std::vector<Frame> BlobIntake::begin(const BlobOffer& offer) {
  if (writer_) throw DecodeError("[ranks] a blob was offered before the last one was there");
  if (offer.bytes > store_.limits().max_blob_bytes) {
    throw DecodeError("[ranks] a blob of " + std::to_string(offer.bytes) +
                      " bytes, expected at most " + std::to_string(store_.limits().max_blob_bytes));
  }
  writer_ = std::make_unique<BlobWriter>(store_, BlobInfo{offer.sha256, offer.bytes}, owner_);
  purpose_ = offer.purpose;
  return {{BlobRequest{offer.sha256, writer_->offset()}, {}}};
}

std::vector<Frame> BlobIntake::go_on(const BlobChunk& chunk, const std::vector<std::byte>& bytes) {
  if (!writer_ || writer_->blob().sha256 != chunk.sha256) {
    throw DecodeError("[ranks] a chunk of a blob that was not offered");
  }
  const BlobWriter::State state = writer_->append(chunk.offset, bytes);
  if (state == BlobWriter::State::kDamaged) {
    throw DecodeError("[ranks] the bytes of blob " + chunk.sha256 + " have another hash");
  }
  if (state == BlobWriter::State::kOpen) return {};
  return {{BlobProgress{chunk.sha256, writer_->offset()}, {}}};
}

std::optional<BlobIntake::Arrived> BlobIntake::take() {
  if (!writer_ || writer_->state() != BlobWriter::State::kComplete) return std::nullopt;
  Arrived arrived{writer_->blob(), purpose_};
  writer_.reset();
  return arrived;
}

BlobInfo receive_blob(Channel& channel, BlobStore& store, const std::string& owner,
                      const std::string& purpose, const std::atomic<bool>& stop) {
  BlobIntake intake(store, owner);
  for (;;) {
    Frame frame = next_frame(channel, stop);
    for (const Frame& answer : intake.receive(frame)) channel.send(answer);
    channel.recycle(std::move(frame.body));
    const auto arrived = intake.take();
    if (!arrived) continue;
    if (arrived->purpose == purpose) return arrived->blob;
    throw DecodeError("[ranks] found a blob for '" + arrived->purpose + "', expected '" + purpose +
                      "'");
  }
}

}  // namespace fedstill
