// Three hostile peers (two clients, one administrator) say what they like, in any order and over
// any number of connections, to a coordinator at its reception, from the first frame on. Nothing
// they say may throw, and an honest client that is there all the while still gets its update in.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "coordinator/reception.h"
#include "data/predictions_file.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_update.h"
#include "transport/archive.h"
#include "transport/task_question.h"

namespace fedstill::tests {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::int64_t kPoolSamples = 4, kClasses = 3;
constexpr std::array<const char*, 3> kNames{"mallory", "mallet", "admin"};

const TemporaryFolder& folder() {
  static const TemporaryFolder one;
  return one;
}

// The bytes that decide what happens next; zeros when there are no more.
class Script {
 public:
  explicit Script(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  Bytes next(std::size_t count) {
    const auto taken = std::as_bytes(bytes_.first(std::min(count, bytes_.size())));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// What a client may send up: a small model, or what it predicts for the pool.
const Bytes& update() {
  static const Bytes bytes = encode_model(tiny_update(1, kClasses));
  return bytes;
}
const Bytes& predictions() {
  static const Bytes bytes = [] {
    const auto file = folder().path() / "predictions";
    const std::vector<float> logits(kPoolSamples * kClasses, 0.25F),
        confidences(kPoolSamples, 0.5F);
    write_predictions_file(file, {std::string(64, 'b'), kPoolSamples, kClasses}, logits,
                           confidences);
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(stream), {}};
    const auto read = std::as_bytes(std::span(text));
    return Bytes(read.begin(), read.end());
  }();
  return bytes;
}

CoordinatorOptions coordinator_options() {
  CoordinatorOptions options;
  options.round.expected_clients = 4;  // one never comes: the round stays open
  options.round.deadline = std::chrono::hours(1000);
  options.plan = {std::string(64, 'a'), kFirstRound, std::string(64, 'b'), kClasses};
  options.image = {1, 4, 4};
  options.classes = kClasses;
  options.pool_samples = kPoolSamples;
  return options;
}

ReceptionOptions reception_options() {
  ReceptionOptions options;
  options.task = R"({"channels":1})";
  options.on_status = [](const std::string&, const StatusRequest&) { return std::string("{}"); };
  return options;
}

struct Peer {
  Reception::Id id = 0;
  bool is_open = false, was_ended = false;
  std::vector<Frame> heard;
};

class Conversation {
 public:
  Conversation()
      : store_(fresh_folder()),
        coordinator_(coordinator_options(), store_, now_),
        reception_(coordinator_, reception_options()) {
    open(alice_, "alice", "client");
    say(alice_, {Hello{}, {}});
    say(alice_, {Join{"alice", "tiny", 100}, {}});
  }

  void play(Script script) {
    while (!script.empty()) step(script);
  }

  void honest_client_gets_its_update_in() {
    const std::string sha256 = sha256_hex(update());
    say(alice_, {BlobOffer{sha256, update().size(), "update"}, {}});
    say(alice_, {BlobChunk{sha256, 0}, update()});
    alice_.heard.clear();
    say(alice_, {Upload{kFirstRound, "alice", sha256, 100}, {}});
    if (alice_.was_ended || alice_.heard.size() != 1) std::abort();
    const auto* answer = std::get_if<Acknowledgement>(&alice_.heard[0].message);
    if (answer == nullptr || !answer->accepted) std::abort();
  }

 private:
  static std::filesystem::path fresh_folder() {
    const auto path = folder().path() / "store";
    std::filesystem::remove_all(path);
    return path;
  }

  void open(Peer& peer, const char* name, const char* role) {
    peer.is_open = true;
    peer.was_ended = false;
    Line line;
    line.send = [&peer](Frame frame) { peer.heard.push_back(std::move(frame)); };
    line.end = [&peer](const std::string&) { peer.was_ended = true; };
    peer.id = reception_.open(name, role, std::move(line), now_);
  }

  void say(Peer& peer, Frame frame) { reception_.receive(peer.id, std::move(frame), now_); }

  // One thing that one of the hostile peers does: the first byte says who and what.
  void step(Script& script) {
    const std::uint8_t first = script.next();
    const std::size_t who = first % kNames.size();
    Peer& peer = peers_[who];
    if (!peer.is_open) open(peer, kNames[who], role_of(who));
    const std::size_t what = first / kNames.size() % 14;
    if (what < 8) {
      say(peer, likely_frame(what, kNames[who], script));
    } else if (what == 8) {
      close(peer);
    } else if (what == 9) {
      reception_.drained(peer.id, now_);
    } else if (what == 10) {
      pass(std::chrono::milliseconds(script.next()));
    } else if (what == 11) {
      pass(std::chrono::seconds(script.next() / 4));
    } else if (what == 12) {
      open_beside(peer, who);
    } else {
      say_anything(peer, script);
    }
    if (peer.was_ended) close(peer);
  }
  static const char* role_of(std::size_t who) { return who == 2 ? "admin" : "client"; }

  // What a client says in a conversation, more or less as it should.
  static Frame likely_frame(std::size_t what, const std::string& name, Script& script) {
    const Bytes& blob = (script.next() & 1) != 0 ? predictions() : update();
    const auto mode = &blob == &update() ? Participation::kModel : Participation::kPredictions;
    const std::string sha256 = sha256_hex(blob);
    switch (what) {
      case 0:
        return {Hello{1, 1, "", {std::string(kTaskQuestion)}}, {}};
      case 1:
        return {Join{name, "tiny", script.next(), mode}, {}};
      case 2:
        return {BlobOffer{sha256, blob.size() - script.next() % 2,
                          mode == Participation::kModel ? "update" : "predictions"},
                {}};
      case 3:
        return chunk(blob, sha256, script);
      case 4:
        return claim(name, sha256, mode, script.next());
      case 5:
        return {BlobRequest{sha256, script.next() * 16U}, {}};
      case 6:
        return {Heartbeat{kFirstRound, "training", script.next(), script.next()}, {}};
      default:
        return {Leave{"enough"}, {}};
    }
  }

  // A piece of the blob, perhaps with a byte that is wrong.
  static Frame chunk(const Bytes& blob, const std::string& sha256, Script& script) {
    const std::size_t from = std::min<std::size_t>(script.next() * 16U, blob.size() - 1);
    const std::size_t count = std::min<std::size_t>((script.next() + 1) * 16U, blob.size() - from);
    const auto at = blob.begin() + static_cast<std::ptrdiff_t>(from);
    Bytes body(at, at + static_cast<std::ptrdiff_t>(count));
    if (script.next() % 8 == 1) body[0] ^= std::byte{1};
    return {BlobChunk{sha256, from}, std::move(body)};
  }

  static Frame claim(const std::string& name, const std::string& sha256, Participation mode,
                     std::int64_t samples) {
    if (mode == Participation::kModel) return {Upload{kFirstRound, name, sha256, samples}, {}};
    return {Predictions{kFirstRound, name, sha256, samples}, {}};
  }

  // Any message that passes the archive; what does not would have ended the connection.
  void say_anything(Peer& peer, Script& script) {
    const auto kind = static_cast<MessageKind>(script.next());
    const Bytes bytes = script.next(script.next());
    const Bytes body = script.next(script.next());
    try {
      say(peer, {decode_message(kind, bytes), body});
    } catch (const DecodeError&) {
      peer.was_ended = true;
    }
  }

  void close(Peer& peer) {
    reception_.closed(peer.id, now_);
    peer.is_open = false;
    peer.heard.clear();
  }

  // A second connection under one name; the first is told to go.
  void open_beside(Peer& peer, std::size_t who) {
    const Reception::Id older = peer.id;
    open(peer, kNames[who], role_of(who));
    reception_.closed(older, now_);
    peer.was_ended = false;
  }

  void pass(std::chrono::milliseconds time) {
    now_ += time;
    reception_.tick(now_);
  }

  Instant now_{0};
  Store store_;
  Coordinator coordinator_;
  Reception reception_;
  Peer alice_;
  std::array<Peer, kNames.size()> peers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  Conversation conversation;
  conversation.play(Script({data, size}));
  conversation.honest_client_gets_its_update_in();
  return 0;
}

}  // namespace fedstill::tests
