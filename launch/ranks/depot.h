#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "launch/ranks/blob_exchange.h"
#include "launch/stages/clients.h"
#include "launch/stages/run.h"

namespace fedstill {

// A client that was trained on this rank goes to rank 0: its record and its update as blobs, then
// the claim that they are this client's. Returns when rank 0 has them safe. Throws DecodeError
// where it refuses, and what send_blob() throws.
void upload(Channel& to_first, const Run& run, const ClientRecord& record);

// Rank 0's side: takes what the other ranks upload into the run folder, as if the clients had been
// trained here.
class Depot {
 public:
  // The channels by rank; awaited: the clients that other ranks train. Run and channels must
  // outlive it.
  Depot(const Run& run, const std::vector<std::unique_ptr<Channel>>& ranks,
        std::set<std::string> awaited);

  // Until all awaited are here. Throws DecodeError for what is not as agreed, naming the rank,
  // Stopped, ChannelClosed, std::system_error.
  void serve();

 private:
  struct Desk {
    Channel* channel;
    int rank;
    BlobIntake intake;
    std::map<std::string, BlobInfo> arrived;  // by purpose
  };
  bool attend(Desk& desk);
  void claim(Desk& desk, const Upload& upload);
  ClientRecord record_of(const Desk& desk, const Upload& upload) const;

  const Run& run_;
  BlobStore store_;
  std::vector<Desk> desks_;
  std::set<std::string> awaited_;
};

}  // namespace fedstill
