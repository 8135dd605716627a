#include "transport/archive.h"

#include <cereal/types/vector.hpp>
#include <stdexcept>

#include "model/decode_error.h"
#include "transport/bounded_archive.h"

namespace fedstill {

// The order of the fields is the wire format; cereal finds these by the messages' namespace.
template <typename Archive>
void serialize(Archive& archive, Join& join) {
  archive(join.client, join.architecture, join.sample_count, join.mode);
}
template <typename Archive>
void serialize(Archive& archive, RoundPlan& plan) {
  archive(plan.job, plan.round, plan.pool_hash, plan.classes, plan.settings, plan.pool_bytes,
          plan.student, plan.student_bytes, plan.rounds);
}
template <typename Archive>
void serialize(Archive& archive, Upload& upload) {
  archive(upload.round, upload.client, upload.sha256, upload.sample_count);
}
template <typename Archive>
void serialize(Archive& archive, Acknowledgement& acknowledgement) {
  archive(acknowledgement.round, acknowledgement.sha256, acknowledgement.accepted,
          acknowledgement.reason, acknowledgement.refusal);
}
template <typename Archive>
void serialize(Archive& archive, Bundle& bundle) {
  archive(bundle.round, bundle.sha256, bundle.bytes, bundle.last);
}
template <typename Archive>
void serialize(Archive& archive, Hello& hello) {
  archive(hello.oldest_version, hello.newest_version, hello.software, hello.capabilities);
}
template <typename Archive>
void serialize(Archive& archive, Welcome& welcome) {
  archive(welcome.version, welcome.software, welcome.capabilities, welcome.heartbeat_seconds,
          welcome.unix_time);
}
template <typename Archive>
void serialize(Archive& archive, BlobOffer& offer) {
  archive(offer.sha256, offer.bytes, offer.purpose);
}
template <typename Archive>
void serialize(Archive& archive, BlobRequest& request) {
  archive(request.sha256, request.offset);
}
template <typename Archive>
void serialize(Archive& archive, BlobChunk& chunk) {
  archive(chunk.sha256, chunk.offset);
}
template <typename Archive>
void serialize(Archive& archive, BlobProgress& progress) {
  archive(progress.sha256, progress.offset);
}
template <typename Archive>
void serialize(Archive& archive, Heartbeat& heartbeat) {
  archive(heartbeat.round, heartbeat.phase, heartbeat.done, heartbeat.total);
}
template <typename Archive>
void serialize(Archive& archive, Predictions& predictions) {
  archive(predictions.round, predictions.client, predictions.sha256, predictions.sample_count);
}
template <typename Archive>
void serialize(Archive& archive, StatusRequest& request) {
  archive(request.what, request.argument);
}
template <typename Archive>
void serialize(Archive&, StatusReply&) {}
template <typename Archive>
void serialize(Archive& archive, Leave& leave) {
  archive(leave.reason);
}

namespace {

// Of every message. A field appended later raises its message's version, and the loader reads it
// only from that version on.
constexpr std::uint8_t kMessageVersion = 1;

// The alternative whose index is the kind's, counted from one.
template <std::size_t index = 0>
Message load_kind(MessageKind kind, BoundedInputArchive& archive) {
  if constexpr (index == std::variant_size_v<Message>) {
    throw DecodeError("[archive] unknown message kind " +
                      std::to_string(static_cast<unsigned>(kind)));
  } else {
    if (static_cast<std::size_t>(kind) != index + 1) return load_kind<index + 1>(kind, archive);
    std::variant_alternative_t<index, Message> message;
    archive(message);
    return message;
  }
}

}  // namespace

std::vector<std::byte> encode_message(const Message& message) {
  if (const std::string problem = find_problem(message); !problem.empty()) {
    throw std::invalid_argument("[message] " + std::string(name(kind_of(message))) + "." + problem);
  }
  std::vector<std::byte> bytes;
  LittleEndianOutputArchive archive(bytes);
  archive(kMessageVersion);
  std::visit([&](const auto& fields) { archive(fields); }, message);
  return bytes;
}

Message decode_message(MessageKind kind, std::span<const std::byte> bytes,
                       const ArchiveLimits& limits) {
  BoundedInputArchive archive(bytes, limits);
  const std::uint64_t version = archive.take_integer(1);
  if (version != kMessageVersion) {
    throw DecodeError("[archive] message version: found " + std::to_string(version) +
                      ", expected " + std::to_string(kMessageVersion));
  }
  Message message = load_kind(kind, archive);
  archive.expect_end();
  if (const std::string problem = find_problem(message); !problem.empty()) {
    throw DecodeError("[message] " + std::string(name(kind)) + "." + problem);
  }
  return message;
}

}  // namespace fedstill
