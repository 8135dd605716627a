#include "data/split.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "data/data_error.h"
#include "data/split_schemes.h"
#include "model/random.h"

namespace fedstill {
namespace {

constexpr int kDealAttempts = 1000;

// Parts of the key, so that no two draws of a split share their randomness.
enum Purpose : std::uint64_t { kDeal = 1, kScheme = 2, kOrder = 3 };

struct Scheme {
  std::string_view name;
  IndexLists (*split)(const Deal&, std::uint64_t key);
  bool redraw;  // whether another draw may meet a minimum that this one missed
};
constexpr Scheme kSchemes[] = {
    {"iid", split_iid, false},
    {"dirichlet", split_dirichlet, true},
    {"dirichlet-clients", split_dirichlet_clients, false},
    {"shards", split_shards, false},
    {"classes", split_classes, true},
};

[[noreturn]] void refuse_split(const std::string& what) { throw DataError("[split] " + what); }

const Scheme& find_scheme(std::string_view name) {
  std::string known;
  for (const Scheme& scheme : kSchemes) {
    if (scheme.name == name) return scheme;
    known += (known.empty() ? "" : ", ") + std::string(scheme.name);
  }
  refuse_split("found scheme \"" + std::string(name) + "\", expected one of " + known);
}

void check_counts(const SplitOptions& options, std::int64_t images) {
  const std::int64_t counts[] = {options.private_count, options.pool_count,
                                 options.validation_count};
  std::int64_t left = images;
  for (const std::int64_t count : counts) {
    if (count < 0)
      refuse_split("found a count of " + std::to_string(count) + ", expected 0 or more");
    if (count > left) {
      refuse_split("found " + std::to_string(counts[0]) + " private + " +
                   std::to_string(counts[1]) + " pool + " + std::to_string(counts[2]) +
                   " validation images, expected at most " + std::to_string(images) + " in all");
    }
    left -= count;
  }
}

void check_clients(const SplitOptions& options) {
  if (options.clients < 1 || options.clients > kMaxSplitClients) {
    refuse_split("found " + std::to_string(options.clients) + " clients, expected 1 to " +
                 std::to_string(kMaxSplitClients));
  }
  if (options.minimum < 1) {
    refuse_split("found a minimum of " + std::to_string(options.minimum) +
                 " images per client, expected " + "at least 1");
  }
  if (options.private_count / options.clients < options.minimum) {
    refuse_split("found " + std::to_string(options.private_count) + " private images for " +
                 std::to_string(options.clients) + " clients, expected at least " +
                 std::to_string(options.minimum) + " each");
  }
}

void check_labels(std::span<const std::int32_t> labels, std::int64_t classes) {
  for (const std::int32_t label : labels) {
    if (label >= 0 && label < classes) continue;
    throw std::invalid_argument("[split] found label " + std::to_string(label) +
                                ", expected 0 to " + std::to_string(classes - 1));
  }
}

std::int64_t smallest(const IndexLists& clients) {
  const auto least = std::ranges::min_element(clients, {}, &IndexList::size);
  return static_cast<std::int64_t>(least->size());
}

// Draws until the smallest client has the minimum.
IndexLists draw_clients(const Scheme& scheme, const Deal& deal) {
  const int attempts = scheme.redraw ? kDealAttempts : 1;
  std::int64_t best = 0;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    IndexLists clients = scheme.split(deal, derive_key(deal.options.seed, kScheme, attempt));
    best = std::max(best, smallest(clients));
    if (smallest(clients) >= deal.options.minimum) return clients;
  }
  refuse_split("scheme " + std::string(scheme.name) + " found at most " + std::to_string(best) +
               " images for the smallest client in " + std::to_string(attempts) +
               " draws, expected " + std::to_string(deal.options.minimum) +
               "; lower the minimum or the number of clients, or raise alpha");
}

}  // namespace

std::vector<std::string_view> split_schemes() {
  std::vector<std::string_view> names;
  for (const Scheme& scheme : kSchemes) names.push_back(scheme.name);
  return names;
}

Split make_split(std::span<const std::int32_t> labels, std::int64_t classes,
                 const SplitOptions& options) {
  const Scheme& scheme = find_scheme(options.scheme);
  check_labels(labels, classes);
  check_counts(options, static_cast<std::int64_t>(labels.size()));
  check_clients(options);

  IndexList order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, derive_key(options.seed, kDeal));
  const auto pool = order.begin() + options.private_count;
  const auto validation = pool + options.pool_count;

  const Deal deal{labels, classes, {order.begin(), pool}, options};
  Split split{draw_clients(scheme, deal),
              {pool, validation},
              {validation, validation + options.validation_count}};
  for (std::size_t i = 0; i < split.clients.size(); ++i) {
    shuffle(split.clients[i], derive_key(options.seed, kOrder, i));
  }
  return split;
}

}  // namespace fedstill
