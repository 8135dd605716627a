#pragma once

#include <optional>
#include <string>

#include "coordinator/reception.h"

namespace fedstill {

// What the reception knows of a peer.
struct Reception::Connection {
  Id id = 0;
  std::string name, role;
  Line line;
  Instant told{0};
  bool greeted = false, joined = false, ended = false;
  bool held = false;  // an errand is under way for it
  bool chunk_under_way = false;
  std::optional<BlobSender> sender;
  ChunkPace pace;
};

}  // namespace fedstill
