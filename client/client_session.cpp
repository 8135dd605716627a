#include "client/client_session.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "model/decode_error.h"
#include "transport/fetch_progress.h"

namespace fedstill {
namespace {

constexpr const char* kPeer = "coordinator";  // whose parts they are, in the store

[[noreturn]] void misplaced(const Frame& frame) {
  throw DecodeError("[client] " + std::string(name(kind_of(frame.message))) +
                    " does not belong here");
}

void append(std::vector<Frame>& frames, std::vector<Frame> more) {
  for (Frame& frame : more) frames.push_back(std::move(frame));
}

}  // namespace

ClientSession::ClientSession(ClientIdentity identity, ClientStore& store)
    : identity_(std::move(identity)), store_(store) {
  const std::string problem = find_problem(
      Join{identity_.name, identity_.architecture, identity_.sample_count, identity_.mode});
  if (!problem.empty()) throw std::invalid_argument("[client] " + problem);
}

std::vector<Frame> ClientSession::connected() {
  disconnected();
  line_ = Line::kGreeting;
  return {
      plain(Hello{kProtocolVersion, kProtocolVersion, to_free_text(identity_.software, 64), {}})};
}

void ClientSession::disconnected() {
  line_ = Line::kDown;
  sender_.reset();
  writer_.reset();
  wants_retry_ = is_joined_ = false;
  // The coordinator tells all news again.
  std::erase_if(wanted_, [](const Wanted& wanted) { return wanted.bundle.has_value(); });
}

std::vector<Frame> ClientSession::receive(const Frame& frame) {
  const Message& message = frame.message;
  const bool is_harmless =
      std::holds_alternative<Heartbeat>(message) || std::holds_alternative<Leave>(message);
  if (is_harmless) return {};
  if (state_ == State::kDone || state_ == State::kRefused || line_ == Line::kDown) {
    misplaced(frame);
  }
  if (const auto* answer = std::get_if<Acknowledgement>(&message)) {
    return receive_acknowledgement(*answer);
  }
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    if (line_ != Line::kGreeting) misplaced(frame);
    return receive_welcome(*welcome);
  }
  if (line_ != Line::kOpen) misplaced(frame);
  if (const auto* plan = std::get_if<RoundPlan>(&message)) return receive_plan(*plan);
  if (const auto* request = std::get_if<BlobRequest>(&message)) return receive_request(*request);
  if (const auto* progress = std::get_if<BlobProgress>(&message)) {
    return receive_progress(*progress);
  }
  if (const auto* bundle = std::get_if<Bundle>(&message)) return receive_bundle(*bundle);
  if (const auto* chunk = std::get_if<BlobChunk>(&message)) {
    return receive_chunk(*chunk, frame.body);
  }
  misplaced(frame);
}

std::optional<Frame> ClientSession::next_chunk(std::size_t max_bytes) {
  if (!sender_) return std::nullopt;
  auto chunk = sender_->next_chunk(max_bytes);
  if (!chunk) sender_.reset();
  return chunk;
}

std::vector<Frame> ClientSession::finished(const std::filesystem::path& update) {
  if (state_ != State::kTraining)
    throw std::logic_error("[client] an update that nobody asked for");
  update_ = store_.blobs().add_file(update);
  store_.record_update({plan_.job, plan_.round, update_});
  state_ = State::kUploading;
  return line_ == Line::kOpen ? offer() : std::vector<Frame>{};
}

std::vector<Frame> ClientSession::retry() {
  if (!std::exchange(wants_retry_, false) || line_ == Line::kDown) return {};
  if (line_ == Line::kGreeting) return connected();
  if (!is_joined_) return {join()};  // the plan is told again, and all goes on
  writer_.reset();
  std::vector<Frame> frames = go_on();
  if (state_ == State::kUploading) append(frames, offer());
  return frames;
}

Frame ClientSession::heartbeat(const std::string& phase, std::uint64_t done,
                               std::uint64_t total) const {
  if (state_ == State::kFetching && writer_) {
    const auto at = fetch_progress(plan_, writer_->blob().sha256, writer_->offset());
    if (at) return plain(*at);
  }
  return plain(Heartbeat{plan_.round, phase, done, total});
}

std::vector<Frame> ClientSession::receive_welcome(const Welcome& welcome) {
  if (welcome.version != kProtocolVersion) {
    throw DecodeError("[client] protocol version: found " + std::to_string(welcome.version) +
                      ", expected " + std::to_string(kProtocolVersion));
  }
  welcome_ = welcome;
  line_ = Line::kOpen;
  return {join()};
}

std::vector<Frame> ClientSession::receive_plan(const RoundPlan& plan) {
  const bool is_known =
      state_ != State::kWaiting && plan.job == plan_.job && plan.round == plan_.round;
  plan_ = plan;
  is_joined_ = true;
  if (is_known) {  // told again after a cut
    if (state_ == State::kUploaded) state_ = State::kUploading;
    std::vector<Frame> frames = go_on();
    if (state_ == State::kUploading) append(frames, offer());
    return frames;
  }
  sender_.reset();
  std::erase_if(wanted_, [](const Wanted& wanted) { return !wanted.bundle; });
  const bool on_its_way = writer_ && !wanted_.empty() && writer_->blob() == wanted_.front().blob;
  if (!on_its_way) writer_.reset();
  store_.keep_only({plan.pool_hash, plan.student});
  const auto want = [&](const std::string& sha256, std::uint64_t bytes) {
    if (bytes > 0 && !store_.blobs().has(sha256)) wanted_.push_back({{sha256, bytes}, {}});
  };
  want(plan.pool_hash, plan.pool_bytes);
  want(plan.student, plan.student_bytes);
  state_ = State::kFetching;
  return go_on();
}

std::vector<Frame> ClientSession::receive_acknowledgement(const Acknowledgement& answer) {
  const bool is_of_update = state_ == State::kUploading && answer.sha256 == update_.sha256;
  const bool is_of_fetch = !wanted_.empty() && answer.sha256 == wanted_.front().blob.sha256;
  if (answer.accepted) {
    if (is_of_update) state_ = State::kUploaded;
    is_joined_ = is_joined_ || answer.sha256.empty();  // between two rounds
    return {};
  }
  if (answer.refusal == Refusal::kTryLater) {
    sender_.reset();
    wants_retry_ = true;
    return {};
  }
  if (is_of_update && answer.refusal != Refusal::kFinal) {
    sender_.reset();
    state_ = State::kUploaded;  // the round goes on without it
  } else if (is_of_fetch && !is_of_update && wanted_.front().bundle) {
    wanted_.pop_front();  // a newer one was announced
    writer_.reset();
    return go_on();
  } else if (answer.sha256.empty() || is_of_update || is_of_fetch) {
    refuse(answer.reason);
    if (is_of_update) store_.forget_update();  // the next attempt may be a better one
  }
  return {};
}

std::vector<Frame> ClientSession::receive_request(const BlobRequest& request) {
  // One that crossed a new plan on its way is about an update that nobody wants any more.
  if (state_ != State::kUploading || request.sha256 != update_.sha256) return {};
  if (request.offset > update_.bytes) {
    throw DecodeError("[client] asked for byte " + std::to_string(request.offset) + " of " +
                      std::to_string(update_.bytes));
  }
  sender_.reset();
  if (request.offset == update_.bytes) return {claim()};
  sender_.emplace(store_.blobs().path(update_.sha256), update_, request.offset);
  return {};
}

std::vector<Frame> ClientSession::receive_progress(const BlobProgress& progress) {
  const bool is_whole = state_ == State::kUploading && progress.sha256 == update_.sha256 &&
                        progress.offset == update_.bytes;
  return is_whole ? std::vector<Frame>{claim()} : std::vector<Frame>{};
}

std::vector<Frame> ClientSession::receive_bundle(const Bundle& bundle) {
  is_joined_ = true;
  const Delivery delivery{bundle.round, {bundle.sha256, bundle.bytes}};
  const auto& known = store_.bundles();
  if (std::ranges::find(known, delivery) != known.end() && store_.blobs().has(bundle.sha256)) {
    take_bundle(bundle);
    return {plain(Acknowledgement{bundle.round, bundle.sha256, true, ""})};
  }
  wanted_.push_back({delivery.bundle, bundle});
  return go_on();
}

std::vector<Frame> ClientSession::receive_chunk(const BlobChunk& chunk,
                                                std::span<const std::byte> bytes) {
  if (!writer_ || writer_->blob().sha256 != chunk.sha256) return {};  // no longer wanted
  writer_->append(chunk.offset, bytes);
  if (writer_->state() == BlobWriter::State::kDamaged) {
    writer_.reset();
    throw DecodeError("[client] what arrived does not have the hash " + chunk.sha256);
  }
  std::vector<Frame> frames{plain(BlobProgress{chunk.sha256, writer_->offset()})};
  if (writer_->state() == BlobWriter::State::kComplete) append(frames, go_on());
  return frames;
}

std::vector<Frame> ClientSession::go_on() {
  std::vector<Frame> frames = fetch_next();
  const bool has_all =
      std::ranges::all_of(wanted_, [](const Wanted& wanted) { return wanted.bundle.has_value(); });
  if (state_ != State::kFetching || !has_all) return frames;
  const auto& made = store_.update();
  const bool is_made = made && made->job == plan_.job && made->round == plan_.round &&
                       store_.blobs().has(made->update.sha256);
  state_ = is_made ? State::kUploading : State::kTraining;
  if (is_made) {
    update_ = made->update;
    append(frames, offer());
  }
  return frames;
}

std::vector<Frame> ClientSession::fetch_next() {
  std::vector<Frame> frames;
  for (; !wanted_.empty(); wanted_.pop_front()) {
    const Wanted& wanted = wanted_.front();
    const bool on_its_way =
        writer_ && writer_->blob() == wanted.blob && writer_->state() == BlobWriter::State::kOpen;
    if (on_its_way) return frames;
    if (const auto most = store_.blobs().limits().max_blob_bytes; wanted.blob.bytes > most) {
      refuse("[client] a blob of " + std::to_string(wanted.blob.bytes) +
             " bytes is wanted here, at most " + std::to_string(most) + " are taken");
      return frames;
    }
    writer_.emplace(store_.blobs(), wanted.blob, kPeer);
    // Bytes that an earlier attempt left and that turned out wrong are gone now.
    const bool is_damaged = writer_->state() == BlobWriter::State::kDamaged;
    if (is_damaged) writer_.emplace(store_.blobs(), wanted.blob, kPeer);
    if (writer_->state() == BlobWriter::State::kOpen) {
      frames.push_back(plain(BlobRequest{wanted.blob.sha256, writer_->offset()}));
      return frames;
    }
    if (!wanted.bundle) continue;
    take_bundle(*wanted.bundle);
    frames.push_back(plain(Acknowledgement{wanted.bundle->round, wanted.bundle->sha256, true, ""}));
  }
  writer_.reset();
  return frames;
}

Frame ClientSession::join() const {
  return plain(
      Join{identity_.name, identity_.architecture, identity_.sample_count, identity_.mode});
}

std::vector<Frame> ClientSession::offer() const {
  return {plain(BlobOffer{update_.sha256, update_.bytes,
                          identity_.mode == Participation::kModel ? "update" : "predictions"})};
}

Frame ClientSession::claim() const {
  if (identity_.mode == Participation::kPredictions) {
    return plain(Predictions{plan_.round, identity_.name, update_.sha256, identity_.sample_count});
  }
  return plain(Upload{plan_.round, identity_.name, update_.sha256, identity_.sample_count});
}

void ClientSession::take_bundle(const Bundle& bundle) {
  store_.record_bundle({bundle.round, {bundle.sha256, bundle.bytes}});
  if (bundle.last) state_ = State::kDone;
}

void ClientSession::refuse(const std::string& reason) {
  sender_.reset();
  refusal_ = reason;
  state_ = State::kRefused;
}

}  // namespace fedstill
