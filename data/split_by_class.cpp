// The schemes that deal out whole pieces: iid, shards, classes.
#include <algorithm>
#include <numeric>
#include <string>

#include "data/data_error.h"
#include "data/split_schemes.h"
#include "model/random.h"

namespace fedstill {
namespace {

void append(IndexList& to, std::span<const std::int64_t> part) {
  to.insert(to.end(), part.begin(), part.end());
}

// Part `i` of `parts` almost equal ones.
std::span<const std::int64_t> part_of(std::span<const std::int64_t> all, std::size_t parts,
                                      std::size_t i) {
  const std::size_t begin = part_begin(all.size(), parts, i);
  return all.subspan(begin, part_begin(all.size(), parts, i + 1) - begin);
}

IndexList random_order(std::int64_t count, std::uint64_t key) {
  IndexList order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, key);
  return order;
}

// Which clients hold each class. Every client in turn takes the classes with the fewest holders so
// far, ties by lot, so that the numbers of holders differ by at most one.
IndexLists draw_holders(const Deal& deal, std::uint64_t key) {
  IndexLists holders(static_cast<std::size_t>(deal.classes));
  for (std::size_t client = 0; client < deal.clients(); ++client) {
    IndexList order = random_order(deal.classes, derive_key(key, client));
    std::ranges::stable_sort(order, {}, [&](std::int64_t label) {
      return holders[static_cast<std::size_t>(label)].size();
    });
    order.resize(static_cast<std::size_t>(deal.options.classes_per_client));
    for (const std::int64_t label : order) {
      holders[static_cast<std::size_t>(label)].push_back(static_cast<std::int64_t>(client));
    }
  }
  return holders;
}

void check_classes(const Deal& deal) {
  const std::int64_t each = deal.options.classes_per_client;
  if (each < 1 || each > deal.classes) {
    throw DataError("[split] found " + std::to_string(each) +
                    " classes per client, expected 1 to " + std::to_string(deal.classes));
  }
  if (deal.options.clients * each < deal.classes) {
    throw DataError("[split] found " + std::to_string(deal.options.clients) + " clients with " +
                    std::to_string(each) + " classes each, expected enough to hold all " +
                    std::to_string(deal.classes) + " classes");
  }
}

}  // namespace

std::size_t part_begin(std::size_t count, std::size_t parts, std::size_t i) {
  return count / parts * i + std::min(i, count % parts);
}

IndexLists by_class(const Deal& deal) {
  IndexLists classes(static_cast<std::size_t>(deal.classes));
  for (const std::int64_t image : deal.images) {
    classes[static_cast<std::size_t>(deal.label(image))].push_back(image);
  }
  return classes;
}

IndexLists split_iid(const Deal& deal, std::uint64_t /*key*/) {
  IndexLists clients(deal.clients());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    append(clients[i], part_of(deal.images, clients.size(), i));
  }
  return clients;
}

IndexLists split_shards(const Deal& deal, std::uint64_t key) {
  const std::int64_t each = deal.options.shards_per_client;
  const std::int64_t pieces = deal.options.clients * each;
  if (each < 1 || pieces > static_cast<std::int64_t>(deal.images.size())) {
    throw DataError("[split] found " + std::to_string(each) + " shards per client, expected 1 to " +
                    std::to_string(deal.images.size() / deal.clients()) +
                    ", one image per shard at least");
  }
  IndexList sorted = deal.images;
  std::ranges::stable_sort(sorted, {}, [&](std::int64_t image) { return deal.label(image); });
  const IndexList dealt = random_order(pieces, key);
  IndexLists clients(deal.clients());
  for (std::size_t i = 0; i < dealt.size(); ++i) {
    append(clients[i / static_cast<std::size_t>(each)],
           part_of(sorted, dealt.size(), static_cast<std::size_t>(dealt[i])));
  }
  return clients;
}

IndexLists split_classes(const Deal& deal, std::uint64_t key) {
  check_classes(deal);
  const IndexLists images = by_class(deal);
  const IndexLists holders = draw_holders(deal, key);
  IndexLists clients(deal.clients());
  for (std::size_t label = 0; label < images.size(); ++label) {
    const IndexList& held_by = holders[label];
    for (std::size_t i = 0; i < held_by.size(); ++i) {
      append(clients[static_cast<std::size_t>(held_by[i])],
             part_of(images[label], held_by.size(), i));
    }
  }
  return clients;
}

}  // namespace fedstill
