#include "launch/ranks/depot.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/file_descriptor.h"
#include "model/sha256.h"
#include "training/fit.h"

namespace fedstill {
namespace {

constexpr std::uint32_t kRound = 1;
constexpr std::size_t kMaxRecordBytes = std::size_t{16} << 20;
constexpr std::chrono::microseconds kLongestNap{2000};

void require(bool holds, const std::string& what) {
  if (!holds) throw DecodeError(what);
}

}  // namespace

void upload(Channel& to_first, const Run& run, const ClientRecord& record) {
  const auto state = run.folder.file("state") / (record.name + ".json");
  send_blob(to_first, state, sha256_hex_of_file(state), "record", run.stop);
  send_blob(to_first, run.folder.client(record.name) / "update.safetensors", record.sha256,
            "update", run.stop);
  to_first.send({Upload{kRound, record.name, record.sha256, record.samples}, {}});
  const Frame answer = next_frame(to_first, run.stop);
  const auto* said = std::get_if<Acknowledgement>(&answer.message);
  require(said != nullptr && said->accepted && said->sha256 == record.sha256,
          "[ranks] rank 0 did not take the update of " + record.name);
}

Depot::Depot(const Run& run, const std::vector<std::unique_ptr<Channel>>& ranks,
             std::set<std::string> awaited)
    : run_(run), store_(run.folder.file("uploads")), awaited_(std::move(awaited)) {
  for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
    const std::string owner = "rank-" + std::to_string(rank);
    desks_.push_back({ranks[rank].get(), static_cast<int>(rank), BlobIntake(store_, owner), {}});
  }
}

void Depot::serve() {
  std::chrono::microseconds nap{0};
  while (!awaited_.empty()) {
    if (run_.stop.load()) throw Stopped("[ranks] stopped while waiting for other ranks' clients");
    bool spoke = false;
    for (Desk& desk : desks_) spoke |= attend(desk);
    nap = spoke ? std::chrono::microseconds{0}
                : std::min(kLongestNap, nap + std::chrono::microseconds{20});
    if (!spoke) std::this_thread::sleep_for(nap);
  }
  std::filesystem::remove_all(run_.folder.file("uploads"));
}

bool Depot::attend(Desk& desk) {
  try {
    auto frame = desk.channel->receive(std::chrono::milliseconds{0});
    if (!frame) return false;
    if (const auto* claimed = std::get_if<Upload>(&frame->message)) {
      claim(desk, *claimed);
      return true;
    }
    for (const Frame& answer : desk.intake.receive(*frame)) desk.channel->send(answer);
    desk.channel->recycle(std::move(frame->body));
    if (const auto arrived = desk.intake.take()) desk.arrived[arrived->purpose] = arrived->blob;
    return true;
  } catch (const DecodeError& error) {
    throw DecodeError("[ranks] rank " + std::to_string(desk.rank) + ": " + error.what());
  }
}

ClientRecord Depot::record_of(const Desk& desk, const Upload& upload) const {
  const auto bytes = read_file(store_.path(desk.arrived.at("record").sha256), kMaxRecordBytes);
  try {
    return client_record(
        decode_state({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, upload.client));
  } catch (const nlohmann::json::exception& error) {
    throw DecodeError("record of " + upload.client + ": " + error.what());
  }
}

void Depot::claim(Desk& desk, const Upload& upload) {
  require(awaited_.contains(upload.client), upload.client + " was not awaited");
  require(desk.arrived.contains("record") && desk.arrived.contains("update"),
          upload.client + " was claimed before its record and update came");
  const ClientRecord record = record_of(desk, upload);
  const std::string update = desk.arrived.at("update").sha256;
  require(record.name == upload.client && record.sha256 == upload.sha256 &&
              record.sha256 == update && record.samples == upload.sample_count,
          "the record of " + upload.client + " is of another update");
  const std::filesystem::path folder = run_.folder.client(upload.client);
  std::filesystem::rename(store_.path(update), folder / "update.safetensors");
  FileDescriptor(folder, O_RDONLY | O_DIRECTORY).sync();
  run_.folder.remember(upload.client, to_json(record));  // from here on the client is done
  store_.remove(desk.arrived.at("record").sha256);
  desk.arrived.clear();
  awaited_.erase(upload.client);
  run_.events.event("client_arrived",
                    {{"client", upload.client}, {"rank", desk.rank}, {"sha256", update}});
  run_.progress.message(upload.client + " arrived, trained by rank " + std::to_string(desk.rank));
  desk.channel->send({Acknowledgement{kRound, update, true, ""}, {}});
}

}  // namespace fedstill
