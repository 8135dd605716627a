#include "training/plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "training/operators.h"

namespace fedstill {

namespace {

class Planner {
 public:
  Planner(const Graph& graph, std::span<const int> wanted)
      : graph_(graph), count_(graph.nodes.size()), is_wanted_(count_), readers_(count_) {
    plan_.wanted.assign(wanted.begin(), wanted.end());
    for (auto* flags : {&plan_.needed, &plan_.reusable, &plan_.passes, &plan_.rectifies}) {
      flags->resize(count_);
    }
    plan_.released.resize(count_);
  }

  ExecutionPlan make() {
    mark_wanted();
    walk_back();
    for (std::size_t i = 0; i < count_; ++i) {
      if (!plan_.needed[i]) continue;
      if (graph_.nodes[i].op == Op::kReLU) hand_over(i);
      if (graph_.nodes[i].op == Op::kMaxPool) take_over(i);
      plan_.reusable[i] =
          has_one_reader(i) && leaves_result_free(graph_.nodes[i].op) && !plan_.rectifies[i];
    }
    return std::move(plan_);
  }

 private:
  std::size_t input(std::size_t node) const {
    return static_cast<std::size_t>(graph_.nodes[node].inputs[0]);
  }
  bool has_one_reader(std::size_t node) const { return readers_[node] == 1 && !is_wanted_[node]; }

  void mark_wanted() {
    for (const int node : plan_.wanted) {
      if (node < 0 || static_cast<std::size_t>(node) >= count_) {
        throw std::invalid_argument("[executor] wanted node " + std::to_string(node) +
                                    " is not among the graph's " + std::to_string(count_));
      }
      plan_.needed[static_cast<std::size_t>(node)] = is_wanted_[static_cast<std::size_t>(node)] =
          true;
    }
  }

  void walk_back() {
    for (std::size_t i = count_; i-- > 0;) {
      if (!plan_.needed[i]) continue;
      for (const int from : graph_.nodes[i].inputs) {
        const auto source = static_cast<std::size_t>(from);
        plan_.needed[source] = true;
        // Walking backwards, the first reader met is the last to run.
        if (readers_[source]++ == 0 && !is_wanted_[source]) plan_.released[i].push_back(from);
      }
    }
  }

  void hand_over(std::size_t relu) {
    const std::size_t before = input(relu);
    if (graph_.nodes[before].op != Op::kBatchNorm || !has_one_reader(before)) return;
    plan_.passes[relu] = plan_.rectifies[before] = true;
    plan_.reusable[before] = false;
  }

  void take_over(std::size_t pool) {
    const std::size_t relu = input(pool);
    if (graph_.nodes[relu].op != Op::kReLU || plan_.passes[relu] || !has_one_reader(relu)) return;
    plan_.passes[relu] = plan_.rectifies[pool] = true;
  }

  const Graph& graph_;
  std::size_t count_;
  std::vector<bool> is_wanted_;
  std::vector<int> readers_;
  ExecutionPlan plan_;
};

}  // namespace

ExecutionPlan make_plan(const Graph& graph, std::span<const int> wanted) {
  return Planner(graph, wanted).make();
}

}  // namespace fedstill
