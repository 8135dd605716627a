// A model of 3 GB from one rank to rank 0 over the MPI channel, beside bare MPI_Send loops in the
// same run: one frame again and again, a model from memory to memory, then as a blob from file to
// file with its hash; and what a rank that waits in a channel costs. The loops: one buffer of 1 MiB
// again and again, which stays in the caches, and the model from memory to memory. The rounds
// alternate, so that all see the same machine.
//   mpirun -np 2 fedstill_bench_mpi_upload [GIGABYTES] [FOLDER]   (default 3, no files)
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
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
  std::vector<std::byte> model;  // what rank 1 sends and where rank 0 puts it
  std::span<std::byte> part(std::uint64_t chunk) {
    return std::span(model).subspan(chunk * kChunkBytes, kChunkBytes);
  }
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

void bare(Ranks& ranks, const std::function<std::byte*(std::uint64_t)>& place) {
  const auto count = static_cast<int>(kChunkBytes);
  for (std::uint64_t i = 0; i < ranks.chunks; ++i) {
    if (ranks.rank == 1) MPI_Send(place(i), count, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    if (ranks.rank == 0)
      MPI_Recv(place(i), count, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
}

void bare_buffer(Ranks& ranks) {
  bare(ranks, [&](std::uint64_t) { return ranks.model.data(); });
}

void bare_model(Ranks& ranks) {
  bare(ranks, [&](std::uint64_t i) { return ranks.part(i).data(); });
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
    if (ranks.rank == 0) ranks.down().recycle(std::move(ranks.down().receive(kLong)->body));
  }
  finish(ranks);
}

void model(Ranks& ranks) {
  for (std::uint64_t i = 0; i < ranks.chunks; ++i) {
    const auto part = ranks.part(i);
    if (ranks.rank == 1)
      ranks.up().send({BlobChunk{std::string(64, 'a'), i}, {part.begin(), part.end()}});
    if (ranks.rank != 0) continue;
    auto frame = ranks.down().receive(kLong);
    std::ranges::copy(frame->body, part.begin());
    ranks.down().recycle(std::move(frame->body));
  }
  finish(ranks);
}

void blob(Ranks& ranks, const BlobInfo& info, const std::filesystem::path& folder) {
  if (ranks.rank == 1) {
    BlobSender sender(folder / "model", info, 0);
    while (auto chunk = sender.next_chunk()) ranks.up().send(std::move(*chunk));
  } else if (ranks.rank == 0) {
    BlobStore store(folder / "store");
    BlobWriter writer(store, info, "rank-1");
    while (writer.state() == BlobWriter::State::kOpen) {
      auto chunk = ranks.down().receive(kLong);
      writer.append(std::get<BlobChunk>(chunk->message).offset, chunk->body);
      ranks.down().recycle(std::move(chunk->body));
    }
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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void report(
    Ranks& ranks, const char* name, const std::function<void()>& work,
    const std::function<void()>& clean_up = [] {}) {
  const double gigabytes = 1e-9 * static_cast<double>(ranks.chunks * kChunkBytes);
  std::vector<double> ours, buffer, model, of_buffer, of_model;
  for (int round = 0; round < kRounds; ++round) {
    const double one = timed([&] { bare_buffer(ranks); }), all = timed([&] { bare_model(ranks); });
    const double spent = timed(work);
    clean_up();
    ours.push_back(gigabytes / spent);
    buffer.push_back(gigabytes / one);
    model.push_back(gigabytes / all);
    of_buffer.push_back(one / spent);
    of_model.push_back(all / spent);
  }
  if (ranks.rank != 0) return;
  const auto [least, most] = std::ranges::minmax(of_model);
  std::printf(
      "%-8s %.2f GB/s; bare MPI_Send, one buffer %.2f GB/s: %.2f x; memory to memory %.2f GB/s: "
      "%.2f x (%.2f to %.2f)\n",
      name, median(ours), median(buffer), median(of_buffer), median(model), median(of_model), least,
      most);
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
  double gigabytes = 3;
  std::filesystem::path folder;
  CLI::App app("Two ranks of mpirun: a model from one to the other, beside a bare MPI_Send loop");
  app.option_defaults()->always_capture_default();
  app.add_option("GIGABYTES", gigabytes);
  app.add_option("FOLDER", folder, "where a file is received too, with its hash");
  CLI11_PARSE(app, argc, argv);
  int granted = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &granted);
  {
    fedstill::Ranks ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
    ranks.chunks = static_cast<std::uint64_t>(gigabytes * 1e9) / fedstill::kChunkBytes;
    ranks.model.resize(ranks.chunks * fedstill::kChunkBytes, static_cast<std::byte>(ranks.rank));
    fedstill::report(ranks, "frames", [&] { fedstill::frames(ranks); });
    fedstill::report(ranks, "a model", [&] { fedstill::model(ranks); });
    if (!folder.empty()) {
      const auto info = fedstill::make_file(ranks, folder);
      const auto clean_up = [&] {
        if (ranks.rank == 0) std::filesystem::remove_all(folder / "store");
      };
      fedstill::report(
          ranks, "a blob", [&] { fedstill::blob(ranks, info, folder); }, clean_up);
    }
    fedstill::waiting(ranks);
  }
  MPI_Finalize();
}
