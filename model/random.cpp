#include "model/random.h"

#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>

// Compiled without contraction of a*b+c into fused operations: the numbers below must have the same
// bits on every machine, so only +, −, ×, ÷ and sqrt, which IEEE 754 rounds exactly, decide them.

namespace fedstill {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// ln(x) for normal positive x: x = m·2^e with m in [√½, √2), ln m = 2·artanh((m − 1)/(m + 1)).
double exact_log(double x) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > std::numbers::sqrt2) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double square = s * s;
  double sum = 0.0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2.0 * s * sum + exponent * std::numbers::ln2;
}

// e^x for x ≤ 0 as 2^k·e^r with |r| ≤ ln2/2; zero where the result would not be a normal number.
double exact_exp(double x) {
  if (x < -700.0) return 0.0;
  const auto k = static_cast<int>(x / std::numbers::ln2 - 0.5);
  const double r = x - k * std::numbers::ln2;
  double sum = 1.0;
  for (int n = 16; n >= 1; --n) sum = 1.0 + sum * r / n;
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + k) << 52) * sum;
}

// ±1/n! for n = first, first + 2, …: Taylor coefficients of cosine (from 0) and sine (from 1).
constexpr std::array<double, 12> alternating_inverse_factorials(int first) {
  std::array<double, 12> coefficients{};
  double factorial = 1.0;
  for (int i = 0; i < 12; ++i) {
    coefficients[static_cast<std::size_t>(i)] = (i % 2 == 0 ? 1.0 : -1.0) / factorial;
    const int n = first + 2 * i;
    factorial *= (n + 1) * (n + 2);
  }
  return coefficients;
}
constexpr auto kCosine = alternating_inverse_factorials(0);
constexpr auto kSine = alternating_inverse_factorials(1);

// On [0, π/2) the first term left out is below 1e-18.
double series(const std::array<double, 12>& coefficients, double square) {
  double sum = 0.0;
  for (std::size_t i = coefficients.size(); i-- > 0;) sum = sum * square + coefficients[i];
  return sum;
}
double cosine_series(double x) { return series(kCosine, x * x); }
double sine_series(double x) { return x * series(kSine, x * x); }

// cos(2πu) for u in [0, 1); splitting off the quadrant is exact.
double cosine_of_turn(double u) {
  const double quarters = 4.0 * u;
  const int quadrant = static_cast<int>(quarters);
  const double x = (quarters - quadrant) * (0.5 * std::numbers::pi);
  switch (quadrant) {
    case 0:
      return cosine_series(x);
    case 1:
      return -sine_series(x);
    case 2:
      return -cosine_series(x);
    default:
      return sine_series(x);
  }
}

// Box & Muller (1958), one deviate for two counters, so that each is a function of its own index.
double standard_normal(std::uint64_t key, std::uint64_t counter) {
  const double u = 1.0 - random_uniform(key, 2 * counter);  // (0, 1]
  const double v = random_uniform(key, 2 * counter + 1);
  return std::sqrt(-2.0 * exact_log(u)) * cosine_of_turn(v);
}

// Marsaglia & Tsang (2000) for shape ≥ 1.
double gamma_of_large_shape(std::uint64_t key, double shape) {
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  const std::uint64_t uniforms = derive_key(key, 1);
  for (std::uint64_t attempt = 0;; ++attempt) {
    const double x = standard_normal(key, attempt);
    const double root = 1.0 + c * x;
    if (root <= 0.0) continue;
    const double v = root * root * root;
    const double u = 1.0 - random_uniform(uniforms, attempt);
    if (exact_log(u) < 0.5 * x * x + d - d * v + d * exact_log(v)) return d * v;
  }
}

}  // namespace

std::uint64_t random_bits(std::uint64_t key, std::uint64_t counter) {
  return mix(mix(key + kGolden) + kGolden * (counter + 1));
}

double random_uniform(std::uint64_t key, std::uint64_t counter) {
  return static_cast<double>(random_bits(key, counter) >> 11) * 0x1.0p-53;
}

std::uint64_t random_below(std::uint64_t key, std::uint64_t counter, std::uint64_t bound) {
  if (bound == 0) throw std::invalid_argument("[random] bound is 0, expected at least 1");
  // The high half of a product: off from uniform by at most bound / 2^64.
  return static_cast<std::uint64_t>((Wide{random_bits(key, counter)} * bound) >> 64);
}

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

void fill_normal(std::span<float> out, std::uint64_t key, float standard_deviation) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(standard_normal(key, i) * standard_deviation);
  }
}

double random_gamma(std::uint64_t key, std::uint64_t counter, double shape) {
  if (!(shape > 0.0) || !std::isfinite(shape)) {
    throw std::invalid_argument("[random] gamma shape is " + std::to_string(shape) +
                                ", expected a positive number");
  }
  const std::uint64_t own = derive_key(key, counter);
  if (shape >= 1.0) return gamma_of_large_shape(own, shape);
  // Gamma(a) = Gamma(a + 1) · U^(1/a).
  const double u = 1.0 - random_uniform(derive_key(own, 2), 0);
  return gamma_of_large_shape(own, shape + 1.0) * exact_exp(exact_log(u) / shape);
}

void shuffle(std::span<std::int64_t> values, std::uint64_t key) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[random_below(key, i, i)]);
  }
}

}  // namespace fedstill
