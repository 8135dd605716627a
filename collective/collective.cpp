#include "collective/collective.h"

namespace fedstill {
namespace {

using Kind = Operation::Kind;

const char* name(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "all_reduce";
    case Kind::kReduceScatter:
      return "reduce_scatter";
    case Kind::kAllGather:
      return "all_gather";
    case Kind::kBroadcast:
      return "broadcast";
    case Kind::kBarrier:
      return "barrier";
  }
  throw std::invalid_argument("[collective] no such operation");
}

const char* name(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
      return "sum";
    case Reduction::kMax:
      return "max";
    case Reduction::kMin:
      return "min";
  }
  throw std::invalid_argument("[collective] no such reduction");
}

bool reduces(Kind kind) { return kind == Kind::kAllReduce || kind == Kind::kReduceScatter; }

void require(bool holds, const Operation& operation, const std::string& what) {
  if (!holds) throw std::invalid_argument("[collective] " + describe(operation) + ": " + what);
}

void check(const Operation& operation) {
  const auto& [kind, input, output, reduction, root] = operation;
  require(input.data != nullptr || input.count == 0, operation, "no input memory");
  require(output.data != nullptr || output.count == 0, operation, "no output memory");
  require(input.type == output.type, operation,
          std::string("output is ") + element_name(output.type));
}

void check_blocks(const Operation& operation, std::size_t whole, std::size_t block, int size) {
  const auto ranks = static_cast<std::size_t>(size);
  // Divided, since a product could wrap around.
  require(whole / ranks == block && whole % ranks == 0, operation,
          "found " + std::to_string(whole) + " elements, expected " + std::to_string(size) + " x " +
              std::to_string(block));
}

}  // namespace

std::string describe(const Operation& operation) {
  std::string text = name(operation.kind);
  if (operation.kind == Kind::kBarrier) return text;
  if (reduces(operation.kind)) text += std::string("(") + name(operation.reduction) + ")";
  if (operation.kind == Kind::kBroadcast) text += " from rank " + std::to_string(operation.root);
  return text + " of " + std::to_string(operation.input.count) + " " +
         element_name(operation.input.type);
}

bool matches(const Operation& a, const Operation& b) { return describe(a) == describe(b); }

void Pending::wait() {
  if (!work_) return;
  work_->wait();
  work_.reset();
}

bool Pending::is_done() {
  if (work_ && work_->is_done()) work_.reset();
  return !work_;
}

Pending Collective::all_reduce(Elements data, Reduction reduction) {
  const Operation operation{Kind::kAllReduce, data, data, reduction, 0};
  check(operation);
  return start(operation);
}

Pending Collective::reduce_scatter(ConstElements input, Elements output, Reduction reduction) {
  const Operation operation{Kind::kReduceScatter, input, output, reduction, 0};
  check(operation);
  check_blocks(operation, input.count, output.count, size());
  return start(operation);
}

Pending Collective::all_gather(ConstElements input, Elements output) {
  const Operation operation{Kind::kAllGather, input, output, Reduction::kSum, 0};
  check(operation);
  check_blocks(operation, output.count, input.count, size());
  return start(operation);
}

Pending Collective::broadcast(Elements data, int root) {
  const Operation operation{Kind::kBroadcast, data, data, Reduction::kSum, root};
  check(operation);
  require(root >= 0 && root < size(), operation, "there are " + std::to_string(size()) + " ranks");
  return start(operation);
}

Pending Collective::barrier() { return start(Operation{}); }

}  // namespace fedstill
