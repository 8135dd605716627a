#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/images.h"

namespace fedstill {

inline constexpr int kMaxSplitClients = 1'000'000;

// How the training images are dealt out.
// - iid: every client the same distribution.
// - dirichlet: class-wise; each class is cut in Dirichlet(alpha) shares over the clients, and a
//   client that has N/K images already gets none of the next class (NIID-Bench, Li et al. 2022).
// - dirichlet-clients: client-wise; every client draws a class prior from Dirichlet(alpha) and
//   then its images, drawn again over the classes that are left. Equal client sizes.
// - shards: sorted by label, cut in clients × shards_per_client pieces, dealt at random (McMahan et
//   al. 2017). A piece may span the border of two classes.
// - classes: every client holds classes_per_client classes; classes are spread evenly, and the
//   holders of a class share its images equally.
struct SplitOptions {
  std::string scheme = "dirichlet";
  int clients = 10;
  std::int64_t private_count = 40'000;  // images dealt to the clients
  std::int64_t pool_count = 15'000;
  std::int64_t validation_count = 5'000;
  double alpha = 0.1;
  int shards_per_client = 2;
  int classes_per_client = 2;
  // Of images per client, at least 1; the scheme draws again (at most 1,000 times) until it is met.
  std::int64_t minimum = 50;
  std::uint64_t seed = 0;
};

// Disjoint index lists into one training set.
struct Split {
  std::vector<std::vector<std::int64_t>> clients;
  std::vector<std::int64_t> pool;
  std::vector<std::int64_t> validation;

  std::string hash() const;  // SHA-256 over a canonical encoding of all lists
  bool operator==(const Split&) const = default;
};

std::vector<std::string_view> split_schemes();

// First a seeded permutation sets private images, pool and validation apart, whatever the scheme;
// then the scheme deals out the private ones, all of them. Throws DataError where the counts exceed
// the images, the minimum cannot be met, an option makes no sense or the scheme is unknown (listing
// the known ones), and std::invalid_argument for a label outside [0, classes).
Split make_split(std::span<const std::int32_t> labels, std::int64_t classes,
                 const SplitOptions& options);

// Throws std::logic_error naming the first index that is out of range or in two lists.
void check_disjoint(const Split& split, std::int64_t images);

// JSON, with the hash inside; reading checks hash, ranges and disjointness (DecodeError).
void write_split(const std::filesystem::path& path, const Split& split);
Split read_split(const std::filesystem::path& path);
Split decode_split(std::string_view json);

}  // namespace fedstill
