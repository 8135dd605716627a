#include "transport/archive.h"

#include <stdexcept>

#include "model/decode_error.h"
#include "transport/bounded_archive.h"

namespace fedstill {

// The order of the fields is the wire format; cereal finds these by the messages' namespace.
template <typename Archive>
void serialize(Archive& archive, Join& join) {
  archive(join.client, join.architecture, join.sample_count);
}
template <typename Archive>
void serialize(Archive& archive, RoundPlan& plan) {
  archive(plan.job, plan.round, plan.pool_hash, plan.classes);
}
template <typename Archive>
void serialize(Archive& archive, Upload& upload) {
  archive(upload.round, upload.client, upload.sha256, upload.sample_count);
}
template <typename Archive>
void serialize(Archive& archive, Acknowledgement& acknowledgement) {
  archive(acknowledgement.round, acknowledgement.sha256, acknowledgement.accepted,
          acknowledgement.reason);
}
template <typename Archive>
void serialize(Archive& archive, Bundle& bundle) {
  archive(bundle.round, bundle.sha256);
}

namespace {

// Of every message. A field appended later raises its message's version, and the loader reads it
// only from that version on.
constexpr std::uint8_t kMessageVersion = 1;

template <typename T>
Message load_as(BoundedInputArchive& archive) {
  T message;
  archive(message);
  return message;
}

Message load_kind(MessageKind kind, BoundedInputArchive& archive) {
  switch (kind) {
    case MessageKind::kJoin:
      return load_as<Join>(archive);
    case MessageKind::kRoundPlan:
      return load_as<RoundPlan>(archive);
    case MessageKind::kUpload:
      return load_as<Upload>(archive);
    case MessageKind::kAcknowledgement:
      return load_as<Acknowledgement>(archive);
    case MessageKind::kBundle:
      return load_as<Bundle>(archive);
  }
  throw DecodeError("[archive] unknown message kind " +
                    std::to_string(static_cast<unsigned>(kind)));
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
