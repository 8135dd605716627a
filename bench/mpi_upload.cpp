// A model of 3 GB from one rank to rank 0 over the MPI channel, beside a bare MPI_Send loop in the
// same run: frames alone, then as a blob from file to file with its hash; and what a rank that
// waits in a channel costs. The rounds alternate, so that all see the same machine.
//   mpirun -np 2 fedstill_bench_mpi_upload [GIGABYTES] [FOLDER]   (default 3, no files)
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "model/sha256.h"
#include "tests/support/clock.h"
#include "transport/blob_sender.h"
#include "transport/blob_store.h"
#include "transport/mpi/mpi_channel.h"

namespace fedstill {
namespace {

constexpr std::chrono::hours kLong{1};
constexpr int kRounds = 5;

struct Ranks {
  int rank = 0;
  std::uint64_t chunks = 0;
  mpi::Channels channels = mpi::open_channels();
  Channel& up() { return *channels.to_first; }
  Channel& down() { return *channels.to_ranks[1]; }
};

double timed(const std::function<void()>& work) {
  MPI_Barrier(MPI_COMM_WORLD);
  const auto begin = Clock::now();
  work();
  MPI_Barrier(MPI_COMM_WORLD);
  return seconds_since(begin);
}

void bare_loop(const Ranks& ranks) {
  std::vector<std::byte> buffer(kChunkBytes);
  const auto count = static_cast<int>(kChunkBytes);
  for (std::uint64_t i = 0; i < ranks.chunks; ++i) {
    if (ranks.rank == 1) MPI_Send(buffer.data(), count, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    if (ranks.rank == 0)
      MPI_Recv(buffer.data(), count, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
}

// Bytes move inside calls to a channel, so the sender stays in one until all is there.
void finish(Ranks& ranks) {
  if (ranks.rank == 0) ranks.down().send({Leave{"done"}, {}});
  if (ranks.rank == 1) ranks.up().receive(kLong);
}

void frames(Ranks& ranks) {
  const Frame frame{BlobChunk{std::string(64, 'a'), 0}, std::vector<std::byte>(kChunkBytes)};
  for (std::uint64_t i = 0; i < ranks.chunks; ++i) {
    if (ranks.rank == 1) ranks.up().send(frame);
    if (ranks.rank == 0) ranks.down().receive(kLong);
  }
  finish(ranks);
}

void blob(Ranks& ranks, const BlobInfo& info, const std::filesystem::path& folder) {
  if (ranks.rank == 1) {
    BlobSender sender(folder / "model", info, 0);
    while (const auto chunk = sender.next_chunk()) ranks.up().send(*chunk);
  } else if (ranks.rank == 0) {
    BlobStore store(folder / "store");
    BlobWriter writer(store, info, "rank-1");
    while (writer.state() == BlobWriter::State::kOpen) {
      const auto chunk = ranks.down().receive(kLong);
      writer.append(std::get<BlobChunk>(chunk->message).offset, chunk->body);
    }
    store.remove(info.sha256);
  }
  finish(ranks);
}

BlobInfo make_file(const Ranks& ranks, const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "model";
  if (ranks.rank == 0) {
    std::filesystem::create_directories(folder);
    std::ofstream file(path, std::ios::binary);
    std::vector<char> chunk(kChunkBytes);
    for (std::uint64_t i = 0; i < ranks.chunks; ++i) {
      chunk[i % chunk.size()] = static_cast<char>(i);
      file.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    }
  }
  MPI_Barrier(MPI_COMM_WORLD);
  const auto begin = Clock::now();
  const BlobInfo info{sha256_hex_of_file(path), std::filesystem::file_size(path)};
  if (ranks.rank == 0)
    std::printf("hashing the file alone: %.2f GB/s\n",
                1e-9 * static_cast<double>(info.bytes) / seconds_since(begin));
  return info;
}

void report(const Ranks& ranks, const char* name, const std::function<void()>& work,
            const std::function<void()>& bare) {
  std::vector<double> ours, ratios;
  for (int round = 0; round < kRounds; ++round) {
    const double floor = timed(bare), spent = timed(work);
    ours.push_back(1e-9 * static_cast<double>(ranks.chunks * kChunkBytes) / spent);
    ratios.push_back(floor / spent);
  }
  std::ranges::sort(ours);
  std::ranges::sort(ratios);
  if (ranks.rank != 0) return;
  std::printf("%-8s %.2f GB/s, %.2f of a bare MPI_Send loop (%.2f to %.2f)\n", name,
              ours[kRounds / 2], ratios[kRounds / 2], ratios.front(), ratios.back());
  std::fflush(stdout);
}

void waiting(Ranks& ranks) {
  constexpr std::chrono::seconds kWait{3};
  if (ranks.rank == 0) {
    const double cpu = cpu_seconds();
    ranks.down().receive(kWait);
    std::printf("a rank waiting 3 s in a channel used %.1f %% of a core\n",
                100 * (cpu_seconds() - cpu) / 3);
  } else {
    std::this_thread::sleep_for(kWait);
  }
  MPI_Barrier(MPI_COMM_WORLD);  // a channel that is closed would end the wait
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  int granted = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &granted);
  {
    fedstill::Ranks ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
    const double gigabytes = argc > 1 ? std::strtod(argv[1], nullptr) : 3;
    ranks.chunks = static_cast<std::uint64_t>(gigabytes * 1e9) / fedstill::kChunkBytes;
    const auto bare = [&] { fedstill::bare_loop(ranks); };
    fedstill::report(
        ranks, "frames", [&] { fedstill::frames(ranks); }, bare);
    if (argc > 2) {
      const auto info = fedstill::make_file(ranks, argv[2]);
      fedstill::report(
          ranks, "a blob", [&] { fedstill::blob(ranks, info, argv[2]); }, bare);
    }
    fedstill::waiting(ranks);
  }
  MPI_Finalize();
}
