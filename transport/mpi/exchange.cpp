#include "transport/mpi/exchange.h"

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <thread>

#include "model/decode_error.h"
#include "transport/mpi/require.h"

namespace fedstill::mpi {
namespace {

constexpr std::chrono::microseconds kSpin{50};       // a small frame's time; a yield can cost more
constexpr std::chrono::microseconds kPatience{200};  // a chunk on its way comes within it
constexpr std::chrono::nanoseconds kLongestNap = std::chrono::milliseconds(2);
// Who asks one channel after the other, without waiting, looks once for all of them.
constexpr std::chrono::microseconds kFresh{100};
constexpr std::size_t kMostPieceBytes = std::size_t{1} << 30;

void check_initialised() {
  int is_initialised = 0, granted = 0;
  MPI_Initialized(&is_initialised);
  if (is_initialised != 0) MPI_Query_thread(&granted);
  if (granted < MPI_THREAD_SERIALIZED) {
    throw std::logic_error("[mpi channel] MPI is not initialised for several threads");
  }
}

void check(const ChannelOptions& options) {
  if (options.piece_bytes >= 1 && options.piece_bytes < kMostPieceBytes) return;
  throw std::invalid_argument("[mpi channel] pieces of " + std::to_string(options.piece_bytes) +
                              " bytes, expected 1 to less than " + std::to_string(kMostPieceBytes));
}

}  // namespace

void require(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw ChannelClosed(std::string("[mpi channel] ") + call + ": " +
                      std::string(text.data(), static_cast<std::size_t>(length)));
}

Exchange::Line::Line(MPI_Comm comm, int peer_, bool calls, const ChannelOptions& options,
                     std::vector<std::byte>& spare)
    : peer(peer_),
      out(comm, peer_, Tags(calls ? 0 : 1), options.piece_bytes),
      in(comm, peer_, Tags(calls ? 1 : 0), options, spare) {}

Exchange::Exchange(const ChannelOptions& options) : options_(options) {
  check(options);
  check_initialised();
  require(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
  require(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  require(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  require(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

Exchange::~Exchange() {
  if (drain()) {
    MPI_Comm_free(&comm_);
    return;
  }
  // MPI may still read and write their memory.
  for (auto& line : lines_) static_cast<void>(line.release());
}

// Nobody is waited for who may be gone.
bool Exchange::drain() {
  if (std::uncaught_exceptions() > 0) return false;
  try {
    Lock lock(mutex_);
    return wait_until(lock, Clock::now() + options_.linger, [this] {
      return std::ranges::all_of(lines_, [](const auto& line) { return line->is_finished(); });
    });
  } catch (const std::exception&) {
    return false;
  }
}

Exchange::Line& Exchange::open(int peer, bool calls) {
  const Lock lock(mutex_);
  return *lines_.emplace_back(std::make_unique<Line>(comm_, peer, calls, options_, spare_));
}

bool Exchange::advance() {
  if (!failure_.empty()) throw ChannelClosed(failure_);
  try {
    return advance_lines();
  } catch (const ChannelClosed& error) {
    failure_ = error.what();
    throw;
  }
}

bool Exchange::advance_lines() {
  bool has_moved = false;
  for (const auto& line : lines_) {
    has_moved |= line->out.advance();
    has_moved |= line->in.advance();
  }
  return has_moved;
}

bool Exchange::wait_until(Lock& lock, Clock::time_point until, const std::function<bool()>& holds) {
  Clock::time_point news = Clock::now();
  while (!holds()) {
    Clock::time_point now = Clock::now();
    if (now >= until && now - last_look_ < kFresh) return false;
    const bool has_moved = advance();
    last_look_ = now = Clock::now();
    if (has_moved) {
      news = now;
      changed_.notify_all();
    } else if (now >= until) {
      return false;
    } else {
      nap(lock, now - news, until - now);
    }
  }
  return true;
}

// While things move it spins, then yields, since MPI moves bytes when it is called; after a while
// without news it sleeps, longer and longer, so that a waiting rank costs next to nothing.
void Exchange::nap(Lock& lock, Clock::duration waited, Clock::duration left) {
  if (waited >= kPatience) {
    changed_.wait_for(lock, std::min<Clock::duration>({waited / 20, kLongestNap, left}));
    return;
  }
  lock.unlock();
  if (waited >= kSpin) std::this_thread::yield();
  lock.lock();
}

void Exchange::send(Line& line, std::vector<std::byte> head, std::vector<std::byte> body) {
  Lock lock(mutex_);
  wait_until(lock, Clock::time_point::max(), [&] {
    if (line.closed) throw ChannelClosed("[mpi channel] send after close");
    if (line.in.peer_has_closed()) {
      throw ChannelClosed("[mpi channel] rank " + std::to_string(line.peer) + " has closed");
    }
    const std::size_t held = line.out.held_bytes();
    return held == 0 || held + head.size() + body.size() <= options_.outbox_bytes;
  });
  line.out.push(std::move(head), std::move(body));
  advance();
}

std::optional<Frame> Exchange::receive(Line& line, std::chrono::milliseconds wait) {
  Lock lock(mutex_);
  std::optional<Frame> frame;
  wait_until(lock, Clock::now() + wait, [&] {
    frame = next_frame(line);
    return frame.has_value();
  });
  return frame;
}

void Exchange::recycle(std::vector<std::byte> body) {
  const Lock lock(mutex_);
  if (body.size() > spare_.size()) spare_ = std::move(body);
}

std::optional<Frame> Exchange::next_frame(Line& line) {
  if (line.closed) throw ChannelClosed("[mpi channel] closed");
  std::optional<Frame> frame = line.in.pop();
  if (frame) return frame;
  if (!line.in.damage().empty()) {
    close_line(line);
    throw DecodeError(line.in.damage());
  }
  if (line.in.is_done()) {
    throw ChannelClosed("[mpi channel] rank " + std::to_string(line.peer) + " has closed");
  }
  return std::nullopt;
}

void Exchange::close(Line& line) {
  const Lock lock(mutex_);
  if (!line.closed) close_line(line);
}

void Exchange::close_line(Line& line) {
  line.closed = true;
  line.in.discard();
  if (line.in.peer_has_closed()) line.out.drop_waiting();
  line.out.close();
  changed_.notify_all();
}

}  // namespace fedstill::mpi
