#include "collective/local/local.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "collective/local/exchange.h"

namespace fedstill::local {
namespace {

using Clock = std::chrono::steady_clock;

// Ranks that work alike come one after the other within this time; a processor that was put to
// sleep meanwhile takes long to wake, most of all a virtual one.
constexpr std::chrono::milliseconds kPatience{4};

// One operation of the group, from the first rank that calls it until the last has waited for it.
struct Meeting {
  explicit Meeting(std::uint64_t number_, int size)
      : number(number_), asked(static_cast<std::size_t>(size)) {}

  bool is_done() const { return exchange && finished == exchange->pieces(); }
  bool has_work() const { return exchange && claimed < exchange->pieces(); }

  std::uint64_t number;
  std::vector<std::optional<Operation>> asked;  // by rank
  std::optional<Exchange> exchange;             // once all ranks are here
  std::size_t claimed = 0, finished = 0;        // pieces
};

// What the ranks share. Whoever waits takes pieces of work until none are left.
class Group {
 public:
  Group(int size, const CollectiveOptions& options) : size_(size), options_(options) {
    gone_.resize(static_cast<std::size_t>(size));
  }
  int size() const { return size_; }

  std::shared_ptr<Meeting> join(int rank, std::uint64_t number, const Operation& operation);
  void wait(Meeting& meeting);
  bool poll(Meeting& meeting);
  void leave(int rank);
  void give_up(Meeting& meeting);  // until nobody touches its memory

 private:
  void throw_if_hopeless(const Meeting& meeting);
  [[noreturn]] void fail(const std::string& why);
  void work(std::unique_lock<std::mutex>& lock, Meeting& meeting);
  std::string missing(const Meeting& meeting) const;

  const int size_;
  const CollectiveOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, std::shared_ptr<Meeting>> open_;  // some ranks are still to come
  std::vector<bool> gone_;                                  // by rank
  std::string failure_;                                     // empty while all is well
};

void Group::fail(const std::string& why) {
  if (failure_.empty()) failure_ = "[local] " + why;
  changed_.notify_all();
  throw CollectiveError(failure_);
}

std::shared_ptr<Meeting> Group::join(int rank, std::uint64_t number, const Operation& operation) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw CollectiveError(failure_);
  auto& entry = open_[number];
  if (!entry) entry = std::make_shared<Meeting>(number, size_);
  std::shared_ptr<Meeting> meeting = entry;
  for (const auto& other : meeting->asked) {
    if (other && !matches(*other, operation))
      fail("operation " + std::to_string(number) + ": rank " + std::to_string(rank) + " calls " +
           describe(operation) + ", another rank " + describe(*other));
  }
  meeting->asked[static_cast<std::size_t>(rank)] = operation;
  std::vector<Operation> all;
  for (const auto& one : meeting->asked) {
    if (one) all.push_back(*one);
  }
  if (static_cast<int>(all.size()) == size_) {
    meeting->exchange.emplace(std::move(all));
    open_.erase(number);
    changed_.notify_all();
  }
  return meeting;
}

std::string Group::missing(const Meeting& meeting) const {
  std::string ranks;
  for (std::size_t rank = 0; rank < meeting.asked.size(); ++rank) {
    if (!meeting.asked[rank]) ranks += " " + std::to_string(rank);
  }
  return ranks;
}

void Group::throw_if_hopeless(const Meeting& meeting) {
  if (!failure_.empty()) throw CollectiveError(failure_);
  for (std::size_t rank = 0; rank < gone_.size(); ++rank) {
    if (gone_[rank] && !meeting.asked[rank])
      fail("rank " + std::to_string(rank) + " has left before operation " +
           std::to_string(meeting.number));
  }
}

void Group::work(std::unique_lock<std::mutex>& lock, Meeting& meeting) {
  while (meeting.has_work() && failure_.empty()) {
    const std::size_t piece = meeting.claimed++;
    lock.unlock();
    meeting.exchange->run(piece);
    lock.lock();
    ++meeting.finished;
    if (meeting.is_done() || !failure_.empty()) changed_.notify_all();
  }
}

void Group::wait(Meeting& meeting) {
  std::unique_lock lock(mutex_);
  const auto begun = Clock::now(), deadline = begun + options_.deadline;
  while (true) {
    work(lock, meeting);
    if (meeting.is_done()) return;
    throw_if_hopeless(meeting);
    if (Clock::now() < begun + std::min<Clock::duration>(kPatience, options_.deadline)) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    } else if (meeting.exchange) {
      changed_.wait(lock);  // for pieces that others are at, which never takes long
    } else if (changed_.wait_until(lock, deadline) == std::cv_status::timeout && !meeting.exchange)
      fail("operation " + std::to_string(meeting.number) + ": waited " +
           std::to_string(options_.deadline.count()) + " ms for rank" + missing(meeting));
  }
}

bool Group::poll(Meeting& meeting) {
  std::unique_lock lock(mutex_);
  work(lock, meeting);
  if (!meeting.is_done()) throw_if_hopeless(meeting);
  return meeting.is_done();
}

void Group::leave(int rank) {
  const std::lock_guard lock(mutex_);
  gone_[static_cast<std::size_t>(rank)] = true;
  changed_.notify_all();
}

void Group::give_up(Meeting& meeting) {
  std::unique_lock lock(mutex_);
  if (meeting.is_done()) return;
  if (failure_.empty())
    failure_ = "[local] operation " + std::to_string(meeting.number) + " was given up by a rank";
  changed_.notify_all();
  changed_.wait(lock, [&] { return meeting.claimed == meeting.finished; });
}

class LocalWork : public Work {
 public:
  LocalWork(std::shared_ptr<Group> group, std::shared_ptr<Meeting> meeting)
      : group_(std::move(group)), meeting_(std::move(meeting)) {}
  ~LocalWork() override { group_->give_up(*meeting_); }
  void wait() override { group_->wait(*meeting_); }
  bool is_done() override { return group_->poll(*meeting_); }

 private:
  std::shared_ptr<Group> group_;
  std::shared_ptr<Meeting> meeting_;
};

class LocalCollective : public Collective {
 public:
  LocalCollective(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}
  ~LocalCollective() override { group_->leave(rank_); }
  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }

 private:
  Pending start(const Operation& operation) override {
    return Pending(std::make_unique<LocalWork>(group_, group_->join(rank_, next_++, operation)));
  }

  std::shared_ptr<Group> group_;
  const int rank_;
  std::uint64_t next_ = 0;  // counts this rank's operations
};

}  // namespace

std::vector<std::unique_ptr<Collective>> make_group(int size, const CollectiveOptions& options) {
  if (size < 1)
    throw std::invalid_argument("[local] found size " + std::to_string(size) +
                                ", expected 1 or more");
  const auto group = std::make_shared<Group>(size, options);
  std::vector<std::unique_ptr<Collective>> ranks;
  ranks.reserve(static_cast<std::size_t>(size));
  for (int rank = 0; rank < size; ++rank)
    ranks.push_back(std::make_unique<LocalCollective>(group, rank));
  return ranks;
}

void run_ranks(int size, const std::function<void(Collective&)>& body,
               const CollectiveOptions& options) {
  auto group = make_group(size, options);
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&](std::unique_ptr<Collective> rank) {
    try {
      body(*rank);
    } catch (...) {
      // Before the handle goes: the others' complaints about that come later.
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(group.size());
    for (auto& rank : group) threads.emplace_back(run, std::move(rank));
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace fedstill::local
