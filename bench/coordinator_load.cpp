// What large updates cost the coordinator, over TLS and through all its checks: memory with eight
// uploads at once, memory with many stored updates, the speed of one stream with hash and disk
// beside a plain copy with a hash in the same run, and how long anybody else waits meanwhile.
//   fedstill_bench_coordinator_load --folder DIR [--case sources,uploads,stream,stored]
//       [--gigabytes 1] [--clients 8] [--stream-gigabytes 3] [--updates 1000]
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "bench/real_coordinator.h"
#include "model/builder.h"
#include "model/file_descriptor.h"
#include "model/model_file.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::chrono::hours kLong{1};
constexpr const char* kName = "large-";  // of the graph; four digits follow

struct Settings {
  std::string cases = "uploads,stream,stored";
  fs::path folder;
  double gigabytes = 1, stream_gigabytes = 3;
  int clients = 8, updates = 1000;
};

// A valid update of about so many bytes, nearly all of them in one layer.
Graph large_update(std::uint64_t bytes) {
  const std::int64_t in = bytes > 100'000'000 ? 16'384 : 256;
  const auto out = static_cast<std::int64_t>(bytes) / (4 * in);
  GraphBuilder builder(std::string(kName) + "0000", {1, 4, 4}, 1);
  const int flat = builder.unary(0, Op::kFlatten);
  const int first = builder.unary(builder.linear(flat, in), Op::kReLU);
  const int wide = builder.unary(builder.linear(first, out), Op::kReLU);
  const int confidence = builder.unary(builder.linear(wide, 1), Op::kSigmoid);
  const int reshaped = builder.reshape(confidence, {});
  Graph graph = std::move(builder).finish(builder.linear(wide, 3));
  graph.outputs["confidence"] = reshaped;
  return graph;
}

// What the kernel cannot take back: without LibTorch's code and files that are mapped.
double own_megabytes() { return megabytes("RssAnon:"); }

// Makes the update one of its own: writes digits into the graph's name, which stands in the header
// that no hash covers. `begin` are the first bytes of the file.
void mark(std::span<std::byte> begin, int number) {
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  const std::string digits = std::to_string(10'000 + number).substr(1);
  const std::size_t at = text.find(kName) + std::strlen(kName);
  std::memcpy(begin.data() + at, digits.data(), digits.size());
}

// The update of one client: the file, but for its mark.
class Update {
 public:
  Update(const fs::path& file, int number)
      : number_(number), file_(file, O_RDONLY), bytes_(fs::file_size(file)) {
    Sha256 hash;
    for (std::uint64_t at = 0; at < bytes_; at += kPiece) hash.update(piece(at));
    sha256_ = hash.hex();
  }
  std::span<const std::byte> piece(std::uint64_t at) {
    piece_.resize(kPiece);
    piece_.resize(file_.read_at(at, piece_));
    if (at == 0) mark(piece_, number_);
    return piece_;
  }
  BlobOffer offer() const { return {sha256_, bytes_, "update"}; }

 private:
  int number_;
  FileDescriptor file_;
  std::uint64_t bytes_;
  std::string sha256_;
  std::vector<std::byte> piece_;
};

// One upload from Hello to the accepted claim; the seconds from the offer on.
double upload(std::uint16_t port, const Credentials& credentials, const std::string& name,
              Update& update) {
  const auto channel = dial({"127.0.0.1", port}, credentials);
  const auto say = [&](Message message) { channel->send({std::move(message), {}}); };
  say(Hello{1, kProtocolVersion, "bench", {}});
  const BlobOffer offer = update.offer();
  Clock::time_point begin;
  std::uint64_t at = offer.bytes;
  for (;;) {
    const bool sends = at < offer.bytes;
    const auto frame = channel->receive(sends ? std::chrono::milliseconds{0} : kLong);
    if (!frame && sends) {
      const auto piece = update.piece(at);
      channel->send({BlobChunk{offer.sha256, at}, {piece.begin(), piece.end()}});
      at += piece.size();
      continue;
    }
    if (std::holds_alternative<Welcome>(frame->message)) say(Join{name, "large", 100});
    if (std::holds_alternative<RoundPlan>(frame->message)) {
      begin = Clock::now();
      say(offer);
    }
    if (const auto* request = std::get_if<BlobRequest>(&frame->message)) at = request->offset;
    const auto* progress = std::get_if<BlobProgress>(&frame->message);
    if (progress != nullptr && progress->offset == offer.bytes) {
      std::printf("  %s: all bytes written and hashed after %.1f s\n", name.c_str(),
                  seconds_since(begin));
      say(Upload{1, name, offer.sha256, 100});
    }
    if (const auto* answer = std::get_if<Acknowledgement>(&frame->message)) {
      if (!answer->accepted) throw std::runtime_error(answer->reason);
      return seconds_since(begin);
    }
  }
}

// Asks the coordinator all the time; the longest it took to answer.
double longest_wait(std::uint16_t port, const Credentials& admin, const std::atomic<bool>& stop) {
  const auto channel = dial({"127.0.0.1", port}, admin);
  channel->send({Hello{1, kProtocolVersion, "bench", {}}, {}});
  channel->receive(kLong);
  double longest = 0;
  for (; !stop; std::this_thread::sleep_for(std::chrono::milliseconds{5})) {
    const auto begin = Clock::now();
    channel->send({StatusRequest{"status", ""}, {}});
    while (!std::holds_alternative<StatusReply>(channel->receive(kLong)->message)) {
    }
    longest = std::max(longest, seconds_since(begin));
  }
  return longest;
}

double copy_and_hash(const fs::path& from, const fs::path& to) {
  const auto begin = Clock::now();
  FileDescriptor in(from, O_RDONLY), out(to, O_WRONLY | O_CREAT | O_TRUNC);
  Sha256 hash;
  std::vector<std::byte> piece(kPiece);
  while (const std::size_t count = in.read(piece)) {
    hash.update(std::span(piece).first(count));
    out.write(std::span(piece).first(count));
  }
  out.sync();
  const double seconds = hash.hex().empty() ? 0 : seconds_since(begin);
  fs::remove(to);
  return seconds;
}

// An update of so many bytes, written by a process of its own and kept for the next run.
fs::path source_of(const Settings& settings, double gigabytes) {
  const auto bytes = static_cast<std::uint64_t>(gigabytes * 1e9);
  const fs::path source = settings.folder / ("source-" + std::to_string(bytes));
  if (fs::exists(source)) return source;
  ClientProcess writer([&](std::uint16_t) { write_model(source, large_update(bytes)); });
  writer.start(1);
  if (!writer.wait()) throw std::runtime_error("no source");
  return source;
}

// Clients with updates of so many bytes, all at once, beside the floor.
void uploads(const Settings& settings, double gigabytes, int clients) {
  const fs::path folder = settings.folder / "uploads";
  fs::remove_all(folder);
  const fs::path source = source_of(settings, gigabytes);
  Keys keys;
  std::vector<Credentials> who;
  for (int i = 0; i < clients; ++i)
    who.push_back(keys.authority.client("site-" + std::to_string(i)));
  const Credentials admin = keys.authority.issue({.name = "ops", .role = "admin"});
  ClientProcess process([&](std::uint16_t port) {
    std::vector<std::unique_ptr<Update>> updates;
    for (int i = 0; i < clients; ++i) updates.push_back(std::make_unique<Update>(source, i));
    std::atomic<bool> stop = false;
    double longest = 0;
    std::thread asking([&] { longest = longest_wait(port, admin, stop); });
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
      threads.emplace_back([&, i] {
        const double seconds = upload(port, who[i], "site-" + std::to_string(i), *updates[i]);
        std::printf("  site-%d: accepted after %.1f s\n", i, seconds);
      });
    }
    for (std::thread& thread : threads) thread.join();
    const double seconds = seconds_since(begin);
    stop = true;
    asking.join();
    std::printf("  %.1f s in all, %.2f GB/s; the longest wait for an answer meanwhile %.2f s\n",
                seconds, gigabytes * clients / seconds, longest);
  });
  const double floor = copy_and_hash(source, settings.folder / "copy");
  std::printf("%d upload(s) of %.2f GB; floor: copy with SHA-256 and fsync %.2f s, %.2f GB/s\n",
              clients, gigabytes, floor, gigabytes / floor);
  std::fflush(stdout);
  {
    ReceptionOptions reception;
    reception.on_status = [](const std::string&, const StatusRequest&) { return "{}"; };
    RealCoordinator real(folder, keys, coordinator_options(clients), reception);
    const double before = resident_megabytes(), own_before = own_megabytes();
    Peak peak(resident_megabytes), own(own_megabytes);
    process.start(real.service->port());
    const bool is_good = process.wait();
    const double most = peak.stop(), own_most = own.stop();
    std::printf(
        "  coordinator: %.0f MB resident before, %.0f MB at most; without mapped files %.0f MB and "
        "%.0f MB%s\n",
        before, most, own_before, own_most, is_good ? "" : "  FAILED");
  }
  fs::remove_all(folder);
}

// Without sockets: many accepted updates, and the same taken up after a restart.
void stored(const Settings& settings) {
  const fs::path folder = settings.folder / "stored";
  fs::remove_all(folder);
  const CoordinatorOptions options = coordinator_options(settings.updates + 1);
  std::vector<std::byte> bytes = encode_model(large_update(1'000'000));
  {
    Store store(folder);
    Coordinator coordinator(options, store, Instant{0});
    const double before = resident_megabytes(), own_before = own_megabytes();
    const auto begin = Clock::now();
    for (int i = 0; i < settings.updates; ++i) {
      const std::string name = "site-" + std::to_string(i);
      mark(bytes, i);
      const std::string sha256 = sha256_hex(bytes);
      const auto tell = [&](Message message, std::vector<std::byte> body = {}) {
        const Reaction reaction =
            settled(coordinator.receive(name, {std::move(message), std::move(body)}, Instant{0}),
                    Instant{0});
        for (const Frame& frame : reaction.frames) {
          const auto* answer = std::get_if<Acknowledgement>(&frame.message);
          if (answer != nullptr && !answer->accepted) throw std::runtime_error(answer->reason);
        }
      };
      tell(Join{name, "large", 100});
      tell(BlobOffer{sha256, bytes.size(), "update"});
      tell(BlobChunk{sha256, 0}, bytes);
      tell(Upload{1, name, sha256, 100});
    }
    std::printf(
        "%zu stored updates of %.2f MB in %.1f s: %.1f MB resident before, %.1f MB after; without "
        "mapped files %.1f MB and %.1f MB\n",
        coordinator.round().uploads().size(), static_cast<double>(bytes.size()) / 1e6,
        seconds_since(begin), before, resident_megabytes(), own_before, own_megabytes());
  }
  const auto begin = Clock::now();
  Store store(folder);
  Coordinator coordinator(options, store, Instant{0});
  std::printf("  taken up again with %zu in %.1f s, every hash checked: %.1f MB resident\n",
              coordinator.round().uploads().size(), seconds_since(begin), resident_megabytes());
  fs::remove_all(folder);
}

int run(int argc, char** argv) {
  Settings settings;
  CLI::App app("Memory and speed of a coordinator that is sent large updates, or many");
  app.option_defaults()->always_capture_default();
  app.add_option("--folder", settings.folder, "gigabytes are written there")->required();
  app.add_option("--case", settings.cases, "also: sources, which makes the model of stream");
  app.add_option("--gigabytes", settings.gigabytes, "of each upload");
  app.add_option("--stream-gigabytes", settings.stream_gigabytes, "of the one of case stream");
  app.add_option("--clients", settings.clients, "that upload at once");
  app.add_option("--updates", settings.updates, "that are stored");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(settings.folder);
  print_machine("state in " + settings.folder.string());
  const auto wanted = [&](const char* name) {
    return settings.cases.find(name) != std::string::npos;
  };
  if (wanted("sources")) {
    source_of(settings, settings.stream_gigabytes);
    source_of(settings, settings.gigabytes);
  }
  if (wanted("stream")) uploads(settings, settings.stream_gigabytes, 1);
  if (wanted("uploads")) uploads(settings, settings.gigabytes, settings.clients);
  if (wanted("stored")) stored(settings);
  return 0;
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) { return fedstill::run(argc, argv); }
