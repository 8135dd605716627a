#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fedstill {

// Counter-based randomness: every number is a pure function of (key, counter), so results do not
// depend on the order or the thread in which they are drawn. SplitMix64's finaliser (Steele et al.
// 2014) over the mixed pair.
std::uint64_t random_bits(std::uint64_t key, std::uint64_t counter);

// Folds any number of integers into one key, e.g. derive_key(seed, round, client, epoch). Order
// matters.
template <typename... Parts>
std::uint64_t derive_key(std::uint64_t first, Parts... rest) {
  std::uint64_t key = random_bits(first, 0x6665647374696c6cULL);
  ((key = random_bits(key, static_cast<std::uint64_t>(rest))), ...);
  return key;
}

double random_uniform(std::uint64_t key, std::uint64_t counter);  // [0, 1), 53 bits
// [0, bound); throws std::invalid_argument for a bound of 0.
std::uint64_t random_below(std::uint64_t key, std::uint64_t counter, std::uint64_t bound);

// A name as a part of a key (FNV-1a). Names decide the bits of weights and results, so the hash may
// never change.
std::uint64_t name_hash(std::string_view name);

// Fills with normal deviates that are the same bits on every machine: no libm transcendental
// decides them.
void fill_normal(std::span<float> out, std::uint64_t key, float standard_deviation);

// Gamma(shape, 1) deviate (Marsaglia & Tsang 2000); for Dirichlet draws.
double random_gamma(std::uint64_t key, std::uint64_t counter, double shape);

// Fisher–Yates permutation of the given values in place.
void shuffle(std::span<std::int64_t> values, std::uint64_t key);

}  // namespace fedstill
