// The two schemes that are called Dirichlet in the literature; results differ widely between them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "data/data_error.h"
#include "data/split_schemes.h"
#include "model/random.h"

namespace fedstill {
namespace {

constexpr double kMaxAlpha = 1e6;

void check_alpha(double alpha) {
  if (alpha > 0.0 && alpha <= kMaxAlpha) return;
  throw DataError("[split] found alpha " + std::to_string(alpha) +
                  ", expected more than 0 and at most 1000000");
}

// Scales to sum one. With a tiny alpha all gamma deviates may underflow; the limit of the
// distribution is then a single one among the allowed.
void normalise(std::vector<double>& shares, const std::vector<bool>& allowed, std::uint64_t key) {
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (!allowed[i]) shares[i] = 0.0;
  }
  double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (sum <= 0.0) {
    const auto open = std::ranges::count(allowed, true);
    if (open == 0) return;
    std::uint64_t skip = random_below(key, 0, static_cast<std::uint64_t>(open));
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (allowed[i] && skip-- == 0) shares[i] = 1.0;
    }
    sum = 1.0;
  }
  for (double& share : shares) share /= sum;
}

std::vector<double> draw_gammas(std::size_t count, double alpha, std::uint64_t key) {
  std::vector<double> draws(count);
  for (std::size_t i = 0; i < count; ++i) draws[i] = random_gamma(key, i, alpha);
  return draws;
}

// Cuts one class at the cumulated shares; the last positive share takes what rounding leaves.
void deal_class(const IndexList& images, const std::vector<double>& shares, IndexLists& clients) {
  const auto size = static_cast<double>(images.size());
  std::size_t last = shares.size();
  while (last > 0 && shares[last - 1] <= 0.0) --last;
  double cumulated = 0.0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < last; ++i) {
    cumulated += shares[i];
    const auto cut = static_cast<std::size_t>(std::floor(cumulated * size));
    const std::size_t end = i + 1 == last ? images.size() : std::clamp(cut, begin, images.size());
    for (std::size_t k = begin; k < end; ++k) clients[i].push_back(images[k]);
    begin = end;
  }
}

// The images of every class that are not dealt yet, and how a client draws from them.
class Remaining {
 public:
  explicit Remaining(const Deal& deal) : classes_(by_class(deal)), open_(classes_.size()) {
    for (std::size_t i = 0; i < classes_.size(); ++i) open_[i] = !classes_[i].empty();
  }

  // One image, its class drawn from the prior over the classes that are left.
  std::int64_t draw(const std::vector<double>& prior, std::uint64_t key, std::uint64_t counter) {
    const std::size_t label = choose(prior, random_uniform(key, counter));
    const std::int64_t image = classes_[label].back();
    classes_[label].pop_back();
    open_[label] = !classes_[label].empty();
    return image;
  }

 private:
  std::size_t choose(const std::vector<double>& prior, double uniform) const {
    const double mass = sum([&](std::size_t i) { return prior[i]; });
    // A client whose own classes have run out takes what there is, in proportion.
    if (mass > 0.0) return find(mass * uniform, [&](std::size_t i) { return prior[i]; });
    const auto left = [&](std::size_t i) { return static_cast<double>(classes_[i].size()); };
    return find(sum(left) * uniform, left);
  }

  template <typename Weight>
  double sum(Weight weight) const {
    double total = 0.0;
    for (std::size_t i = 0; i < open_.size(); ++i) total += open_[i] ? weight(i) : 0.0;
    return total;
  }

  template <typename Weight>
  std::size_t find(double target, Weight weight) const {
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (!open_[i] || weight(i) <= 0.0) continue;
      chosen = i;
      target -= weight(i);
      if (target < 0.0) break;
    }
    return chosen;
  }

  IndexLists classes_;
  std::vector<bool> open_;
};

}  // namespace

IndexLists split_dirichlet(const Deal& deal, std::uint64_t key) {
  check_alpha(deal.options.alpha);
  const IndexLists classes = by_class(deal);
  const std::size_t cap = deal.images.size() / deal.clients();
  IndexLists clients(deal.clients());
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const std::uint64_t class_key = derive_key(key, label);
    std::vector<bool> open(clients.size());
    for (std::size_t i = 0; i < clients.size(); ++i) open[i] = clients[i].size() < cap;
    // All are full only where N is no multiple of K and the rest is smaller than K.
    if (std::ranges::count(open, true) == 0) open.assign(clients.size(), true);
    std::vector<double> shares = draw_gammas(clients.size(), deal.options.alpha, class_key);
    normalise(shares, open, class_key + 1);
    deal_class(classes[label], shares, clients);
  }
  return clients;
}

IndexLists split_dirichlet_clients(const Deal& deal, std::uint64_t key) {
  check_alpha(deal.options.alpha);
  const auto classes = static_cast<std::size_t>(deal.classes);
  std::vector<std::vector<double>> priors(deal.clients());
  for (std::size_t i = 0; i < priors.size(); ++i) {
    const std::uint64_t client_key = derive_key(key, i);
    priors[i] = draw_gammas(classes, deal.options.alpha, client_key);
    normalise(priors[i], std::vector<bool>(classes, true), client_key + 1);
  }
  // One image each in turn, so that no client finds the classes emptier than another.
  Remaining remaining(deal);
  IndexLists clients(deal.clients());
  for (std::size_t i = 0; i < deal.images.size(); ++i) {
    const std::size_t client = i % clients.size();
    clients[client].push_back(remaining.draw(priors[client], key, i));
  }
  return clients;
}

}  // namespace fedstill
