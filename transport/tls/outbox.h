#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

namespace fedstill {

// What waits to be written to one peer, in bytes bounded. Filled by any thread, emptied by one.
class Outbox {
 public:
  struct Item {
    std::vector<std::byte> head, body;
    std::size_t done = 0;  // written already
    std::size_t left() const { return head.size() + body.size() - done; }
  };
  enum class Answer { kTaken, kFull, kClosed };

  explicit Outbox(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  Answer push(Item item);  // an item larger than the bound passes alone
  bool close();            // nothing more is taken; false if it was closed before
  void clear();
  bool is_open() const;
  std::size_t queued_bytes() const;

  // For the one that empties it: the oldest item, which stays where it is while others push.
  Item* front();
  void wrote(std::size_t bytes);  // of the oldest item; Requires: there is one if bytes > 0

 private:
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::deque<Item> items_;
  std::size_t queued_ = 0;
  bool is_open_ = true;
};

}  // namespace fedstill
