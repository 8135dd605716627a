#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/client.h"
#include "coordinator/coordinator.h"
#include "transport/channel.h"

namespace fedstill {

// All clients and the coordinator of one round in one process. Each client talks through its own
// in-process channel, so the bytes are those of a real round. Any thread may call.
class Federation {
 public:
  Federation(const CoordinatorOptions& options, Store& store);

  // A client joins and gets its plan. Throws std::logic_error if it is refused.
  void join(const std::string& client, const std::string& architecture, std::int64_t sample_count);
  // Its update travels and is stored durably.
  void upload(const std::string& client, const ClientUpdate& update);
  // Every client gets the bundle and checks it.
  void send_bundle(const std::vector<std::byte>& bytes);

  std::vector<Teacher> teachers() const;  // of the accepted uploads, by client name

 private:
  struct Seat {
    std::unique_ptr<Channel> client_end, coordinator_end;
    ClientSession session;
  };
  void converse(const std::string& client, Seat& seat);  // until both have nothing more to say
  Seat& seat_of(const std::string& client);

  mutable std::mutex mutex_;
  std::uint32_t round_;
  Coordinator coordinator_;
  std::map<std::string, Seat> seats_;
};

}  // namespace fedstill
