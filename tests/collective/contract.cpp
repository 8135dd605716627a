#include "tests/collective/contract.h"

#include <time.h>

namespace fedstill {
namespace {

constexpr std::array<std::size_t, 6> kLengths{0, 1, 3, 1023, 4097, 70001};
constexpr std::array kReductions{Reduction::kSum, Reduction::kMax, Reduction::kMin};

template <typename T>
void check_all_reduce(Collective& group) {
  for (const std::size_t count : kLengths) {
    for (const Reduction reduction : kReductions) {
      auto data = values_of<T>(group.rank(), count);
      group.all_reduce(elements(data), reduction).wait();
      EXPECT_TRUE(same_bits(data, reduced<T>(group.size(), count, reduction)))
          << element_name(element_type<T>()) << ", length " << count << ", rank " << group.rank();
    }
  }
}

TEST_P(CollectiveContract, AllReducesFloat32InRankOrder) { run(check_all_reduce<float>); }
TEST_P(CollectiveContract, AllReducesFloat64InRankOrder) { run(check_all_reduce<double>); }
TEST_P(CollectiveContract, AllReducesBfloat16InFloat32) { run(check_all_reduce<Bfloat16>); }
TEST_P(CollectiveContract, AllReducesInt64) { run(check_all_reduce<std::int64_t>); }
TEST_P(CollectiveContract, AllReducesUint8WithWrapping) { run(check_all_reduce<std::uint8_t>); }

template <typename T>
void check_blocks(Collective& group) {
  const auto ranks = static_cast<std::size_t>(group.size());
  const auto self = static_cast<std::size_t>(group.rank());
  for (const std::size_t count : kLengths) {
    const auto whole = values_of<T>(group.rank(), count * ranks);
    const auto sums = reduced<T>(group.size(), count * ranks, Reduction::kSum);
    const std::vector<T> expected(sums.begin() + static_cast<std::ptrdiff_t>(self * count),
                                  sums.begin() + static_cast<std::ptrdiff_t>((self + 1) * count));
    std::vector<T> block(count);
    group.reduce_scatter(elements(whole), elements(block)).wait();
    EXPECT_TRUE(same_bits(block, expected)) << "length " << count << ", rank " << group.rank();

    std::vector<T> gathered(count * ranks);
    group.all_gather(elements(block), elements(gathered)).wait();
    EXPECT_TRUE(same_bits(gathered, sums)) << "length " << count << ", rank " << group.rank();
  }
}

TEST_P(CollectiveContract, ScattersAndGathersFloat32) { run(check_blocks<float>); }
TEST_P(CollectiveContract, ScattersAndGathersBfloat16) { run(check_blocks<Bfloat16>); }
TEST_P(CollectiveContract, ScattersAndGathersUint8) { run(check_blocks<std::uint8_t>); }

TEST_P(CollectiveContract, ScattersAndGathersWithinOneBuffer) {
  run([](Collective& group) {
    const std::size_t count = 1001, ranks = static_cast<std::size_t>(group.size());
    auto data = values_of<float>(group.rank(), count * ranks);
    float* mine = data.data() + count * static_cast<std::size_t>(group.rank());
    const Elements block{mine, count, ElementType::kFloat32};
    group.reduce_scatter(elements(data), block).wait();
    group.all_gather(block, elements(data)).wait();
    EXPECT_TRUE(same_bits(data, reduced<float>(group.size(), count * ranks, Reduction::kSum)));
  });
}

TEST_P(CollectiveContract, BroadcastsFromEachRank) {
  run([](Collective& group) {
    for (int root = 0; root < group.size(); ++root) {
      for (const std::size_t count : kLengths) {
        auto data = values_of<double>(group.rank(), count);
        group.broadcast(elements(data), root).wait();
        EXPECT_TRUE(same_bits(data, values_of<double>(root, count))) << "from rank " << root;
      }
    }
  });
}

// Long enough for every backend to cut it into many pieces; the sums are exact in float32.
TEST_P(CollectiveContract, CutsLongOperationsIntoPieces) {
  run([](Collective& group) {
    const std::size_t ranks = static_cast<std::size_t>(group.size()), block = 600'011;
    const auto self = static_cast<float>(group.rank());
    const auto base = [](std::size_t i) { return static_cast<float>(i % 1013); };
    std::vector<float> data(ranks * block), mine(block), all(ranks * block);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = self + base(i);
    Pending scattered = group.reduce_scatter(elements(data), elements(mine));
    scattered.wait();
    Pending reduced = group.all_reduce(elements(data)),
            gathered = group.all_gather(elements(mine), elements(all));
    gathered.wait();
    reduced.wait();
    const auto n = static_cast<float>(ranks);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < data.size(); ++i) wrong += data[i] != n * base(i) + n * (n - 1) / 2;
    EXPECT_EQ(wrong, 0U);
    EXPECT_TRUE(same_bits(all, data));
    if (group.rank() != 0) std::fill(all.begin(), all.end(), 0.0F);
    group.broadcast(elements(all), 0).wait();
    EXPECT_TRUE(same_bits(all, data));
  });
}

TEST_P(CollectiveContract, ANanOfAnyRankWins) {
  run([](Collective& group) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    for (const Reduction reduction : kReductions) {
      if (GetParam().drops_nans && reduction != Reduction::kSum) continue;
      std::vector<float> wide(static_cast<std::size_t>(group.size()) + 1, 1.0F);
      std::vector<Bfloat16> narrow(wide.size(), Bfloat16{0x3f80});
      wide[static_cast<std::size_t>(group.rank())] = kNan;
      narrow[static_cast<std::size_t>(group.rank())] =
          Bfloat16{0xff81};  // a payload that rounds badly
      group.all_reduce(elements(wide), reduction).wait();
      group.all_reduce(elements(narrow), reduction).wait();
      for (std::size_t i = 0; i + 1 < wide.size(); ++i) {
        EXPECT_TRUE(std::isnan(wide[i])) << i;
        EXPECT_TRUE(std::isnan(Number<Bfloat16>::sum(narrow[i]))) << i;
      }
      EXPECT_FALSE(std::isnan(wide.back()));
    }
  });
}

TEST_P(CollectiveContract, KeepsManyOperationsInFlight) {
  run([](Collective& group) {
    std::vector<std::vector<float>> data;
    std::vector<Pending> pending;
    for (std::size_t i = 0; i < 20; ++i)
      data.push_back(values_of<float>(group.rank(), 1 + i * 7919));
    for (std::size_t i = 0; i < data.size(); ++i) {
      pending.push_back(i % 3 == 2 ? group.broadcast(elements(data[i]), 0)
                                   : group.all_reduce(elements(data[i])));
      if (i % 5 == 4) pending.push_back(group.barrier());
    }
    for (auto one = pending.rbegin(); one != pending.rend(); ++one) one->wait();
    for (std::size_t i = 0; i < data.size(); ++i) {
      const std::size_t count = data[i].size();
      EXPECT_TRUE(same_bits(data[i], i % 3 == 2
                                         ? values_of<float>(0, count)
                                         : reduced<float>(group.size(), count, Reduction::kSum)))
          << i;
    }
  });
}

// Long enough for no message to be on its way before the other side takes it.
TEST_P(CollectiveContract, IndependentGroupsMayBeUsedInAnyOrder) {
  constexpr std::size_t kCount = 300'007;
  GetParam().run(size(), 2, [](const std::vector<Collective*>& groups) {
    const int rank = groups[0]->rank(), ranks = groups[0]->size();
    std::vector<float> first = values_of<float>(rank, kCount), second = first;
    const auto begin = [&](std::size_t group) {
      return group == 0 ? groups[0]->all_reduce(elements(first))
                        : groups[1]->all_reduce(elements(second), Reduction::kMax);
    };
    const std::size_t mine = rank % 2 == 0 || GetParam().one_order ? 0 : 1;
    Pending a = begin(mine), b = begin(1 - mine);
    a.wait();
    b.wait();
    EXPECT_TRUE(same_bits(first, reduced<float>(ranks, kCount, Reduction::kSum)));
    EXPECT_TRUE(same_bits(second, reduced<float>(ranks, kCount, Reduction::kMax)));
  });
}

TEST_P(CollectiveContract, WaitsForALatePeer) {
  run([](Collective& group) {
    const bool is_late = group.rank() == group.size() - 1;
    const auto late = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
    while (is_late && std::chrono::steady_clock::now() < late) {
    }
    std::vector<std::int64_t> one{1};
    Pending pending = group.all_reduce(elements(one));
    while (group.rank() == 0 && !pending.is_done()) {
    }
    pending.wait();
    EXPECT_EQ(one[0], group.size());
  });
}

// Of the calling thread.
std::chrono::nanoseconds processor_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

TEST_P(CollectiveContract, AWaitingRankLeavesItsCoreToOthers) {
  constexpr std::chrono::milliseconds kLate{200};
  if (size() == 1) return;  // waits for nobody
  run([&](Collective& group) {
    for (const bool first : {true, false}) {  // of the group's operations
      if (!first) group.barrier().wait();
      const auto late = std::chrono::steady_clock::now() + kLate;
      while (group.rank() == 0 && std::chrono::steady_clock::now() < late) {
      }
      const auto begun = processor_time();
      group.barrier().wait();
      EXPECT_LT(processor_time() - begun, kLate / 6);  // spinning beside others takes its share
    }
  });
}

TEST_P(CollectiveContract, RefusesViewsThatDoNotFitAndGoesOn) {
  run([](Collective& group) {
    std::vector<float> a(3 * static_cast<std::size_t>(group.size()) + 1), b(3);
    std::vector<double> wide(b.size() * static_cast<std::size_t>(group.size()));
    EXPECT_THROW(group.reduce_scatter(elements(a), elements(b)), std::invalid_argument);
    EXPECT_THROW(group.all_gather(elements(b), elements(a)), std::invalid_argument);
    EXPECT_THROW(group.all_gather(elements(b), elements(wide)), std::invalid_argument);
    EXPECT_THROW(group.broadcast(elements(b), group.size()), std::invalid_argument);
    EXPECT_THROW(group.broadcast(elements(b), -1), std::invalid_argument);
    EXPECT_THROW(group.all_reduce({nullptr, 1, ElementType::kFloat32}), std::invalid_argument);
    std::vector<std::int64_t> one{1};
    group.all_reduce(elements(one)).wait();
    EXPECT_EQ(one[0], group.size());
  });
}

}  // namespace
}  // namespace fedstill
