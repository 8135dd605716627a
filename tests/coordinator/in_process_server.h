#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/reception.h"
#include "coordinator/worker.h"
#include "transport/channel.h"

namespace fedstill {

// A whole coordinator on a thread of its own, with a door through which clients of this process
// come. May be killed at any time and started again over the same folder: every connection is cut
// then, and nothing but the store remains.
class InProcessServer {
 public:
  // after_event is called on the server's thread after everything that happened.
  InProcessServer(std::filesystem::path folder, CoordinatorOptions options,
                  std::function<void(Reception&, Coordinator&, Store&)> after_event)
      : folder_(std::move(folder)),
        options_(std::move(options)),
        after_event_(std::move(after_event)) {
    start();
  }
  ~InProcessServer() { kill(); }

  void start() {
    stop_ = false;
    std::promise<void> ready;
    auto is_ready = ready.get_future();
    thread_ = std::thread([this, &ready] { run(ready); });
    is_ready.get();
  }
  void kill() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  std::unique_ptr<Channel> connect(const std::string& name) {
    auto [here, there] = make_in_process_channel();
    const std::lock_guard guard(mutex_);
    if (!is_open_) throw ChannelClosed("[test] no coordinator listens");
    arrivals_.push_back({name, std::move(here)});
    return std::move(there);
  }

 private:
  struct Seat {
    std::string name;
    std::unique_ptr<Channel> end;
    Reception::Id id = 0;
    bool sent = false, ended = false, held = false;
  };
  static Instant now() {
    return std::chrono::duration_cast<Instant>(std::chrono::steady_clock::now().time_since_epoch());
  }

  void run(std::promise<void>& ready) {
    Store store(folder_);
    Coordinator coordinator(options_, store, now());
    ReceptionOptions options;
    options.bytes_in_flight = 1;  // the smallest chunks
    options.elsewhere = [this](std::function<void()> work, std::function<void(Instant)> then) {
      worker_->give([this, work = std::move(work), then = std::move(then)] {
        work();
        const std::lock_guard guard(mutex_);
        answers_.push_back(then);
      });
    };
    Reception reception(coordinator, options);
    worker_.emplace();
    set_open(true);
    ready.set_value();
    std::vector<std::unique_ptr<Seat>> seats;
    while (!stop_) {
      seat_arrivals(reception, seats);
      bool busy = false;
      for (auto& seat : seats) busy |= serve(reception, *seat);
      for (const auto& answer : take_answers()) answer(now());
      std::erase_if(seats, [](const auto& seat) { return seat->ended; });
      reception.tick(now());
      after_event_(reception, coordinator, store);
      if (!busy) std::this_thread::yield();
    }
    set_open(false);
    worker_.reset();
    answers_.clear();
  }

  std::vector<std::function<void(Instant)>> take_answers() {
    const std::lock_guard guard(mutex_);
    return std::exchange(answers_, {});
  }

  void set_open(bool open) {
    const std::lock_guard guard(mutex_);
    is_open_ = open;
    arrivals_.clear();
  }

  void seat_arrivals(Reception& reception, std::vector<std::unique_ptr<Seat>>& seats) {
    const std::lock_guard guard(mutex_);
    for (auto& [name, end] : arrivals_) {
      auto seat = std::make_unique<Seat>();
      seat->name = name;
      seat->end = std::move(end);
      const auto send = [s = seat.get()](const Frame& frame) {
        s->sent = true;
        try {
          s->end->send(frame);
        } catch (const ChannelClosed&) {
        }
      };
      const auto hang_up = [s = seat.get()](const std::string&) { s->end->close(); };
      const auto hold = [s = seat.get()](bool held) { s->held = held; };
      seat->id = reception.open(name, "client", {send, hang_up, hold}, now());
      seats.push_back(std::move(seat));
    }
    arrivals_.clear();
  }

  static bool serve(Reception& reception, Seat& seat) {
    try {
      std::optional<Frame> frame;
      if (!seat.held) frame = seat.end->receive(std::chrono::milliseconds(0));
      if (frame) reception.receive(seat.id, *frame, now());
      seat.sent = false;
      reception.drained(seat.id, now());
      return frame.has_value() || seat.sent;
    } catch (const ChannelClosed&) {
      reception.closed(seat.id, now());
      seat.ended = true;
      return true;
    }
  }

  std::filesystem::path folder_;
  CoordinatorOptions options_;
  std::function<void(Reception&, Coordinator&, Store&)> after_event_;
  std::mutex mutex_;
  bool is_open_ = false;
  std::vector<std::pair<std::string, std::unique_ptr<Channel>>> arrivals_;
  std::optional<Worker> worker_;
  std::vector<std::function<void(Instant)>> answers_;  // of the worker, guarded
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace fedstill
