#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/client.h"
#include "coordinator/reception.h"
#include "coordinator/teachers.h"
#include "transport/channel.h"

namespace fedstill {

// All clients and the coordinator of a job in one process. Each client talks through its own
// in-process channel, so the bytes are those of a real round. Any thread may call.
class Federation {
 public:
  // What the clients keep lies below `sites` and is removed at the end.
  Federation(const CoordinatorOptions& options, Store& store, std::filesystem::path sites);
  ~Federation();

  // The round that is under way, or the last.
  std::uint32_t round() const;
  // A client joins, unless it did before, and gets its plan. Throws std::logic_error if it is
  // refused.
  void join(const std::string& client, const std::string& architecture, std::int64_t sample_count);
  // Its update travels and is stored durably.
  void upload(const std::string& client, const std::filesystem::path& update);
  // The round's results. Every client gets the bundle and checks it, and then the next plan with
  // the lesson, unless this was the last round.
  void publish(const std::vector<std::byte>& bundle, const std::vector<std::byte>& lesson);

  std::vector<Teacher> teachers() const;  // of the accepted uploads, by client name

 private:
  struct Seat;
  void converse(const std::string& client, Seat& seat);  // until both have nothing more to say
  Seat& seat_of(const std::string& client);

  mutable std::mutex mutex_;
  std::filesystem::path sites_;
  Store& store_;
  Coordinator coordinator_;
  Reception reception_;
  std::map<std::string, std::unique_ptr<Seat>> seats_;
};

}  // namespace fedstill
