#include "model/zoo.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "model/builder.h"
#include "model/zoo_families.h"

namespace fedstill {
namespace {

struct Architecture {
  std::string_view name;
  int (*build)(GraphBuilder& build, std::int64_t classes);
};

constexpr Architecture kZoo[] = {{"mlp", zoo::mlp},
                                 {"lenet5", zoo::lenet5},
                                 {"cnn3", zoo::cnn3},
                                 {"resnet8", zoo::resnet8},
                                 {"resnet20", zoo::resnet20},
                                 {"vgg-small", zoo::vgg_small},
                                 {"mobilenetv2-small", zoo::mobilenetv2_small},
                                 {"ghostnet-small", zoo::ghostnet_small},
                                 {"resnet8-wide", zoo::resnet8_wide},
                                 {"cnn3-flat", zoo::cnn3_flat}};

constexpr std::int64_t kMinImageSize = 16;

const Architecture& architecture(std::string_view name) {
  std::string known;
  for (const Architecture& entry : kZoo) {
    if (entry.name == name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw std::invalid_argument("[zoo] unknown architecture '" + std::string(name) +
                              "', known: " + known);
}

void check_image(std::string_view name, const ImageShape& image) {
  if (image.channels >= 1 && image.height >= kMinImageSize && image.width >= kMinImageSize) return;
  throw std::invalid_argument(
      "[zoo] " + std::string(name) + " needs images of at least 16 x 16 with a channel, got " +
      shape_text(std::vector<std::int64_t>{image.channels, image.height, image.width}));
}

}  // namespace

std::vector<std::string_view> zoo_names() {
  std::vector<std::string_view> names;
  for (const Architecture& entry : kZoo) names.push_back(entry.name);
  return names;
}

Graph make_model(std::string_view name, const ImageShape& image, std::int64_t classes,
                 std::uint64_t seed) {
  const Architecture& entry = architecture(name);
  check_image(name, image);
  if (classes < 1) {
    throw std::invalid_argument("[zoo] " + std::string(name) + " needs at least one class, got " +
                                std::to_string(classes));
  }
  GraphBuilder build(std::string(name), {image.channels, image.height, image.width}, seed);
  const int logits = entry.build(build, classes);
  return std::move(build).finish(logits);
}

int penultimate_node(const Graph& graph) {
  const auto at = [&graph](int node) -> const Node& {
    return graph.nodes.at(static_cast<std::size_t>(node));
  };
  int node = graph.output("logits");
  while (at(node).op != Op::kLinear) {
    if (at(node).inputs.size() != 1) {
      throw std::invalid_argument("[zoo] no Linear leads to the output 'logits'");
    }
    node = at(node).inputs[0];
  }
  node = at(node).inputs.at(0);
  while (at(node).op == Op::kDropout) node = at(node).inputs.at(0);
  return node;
}

}  // namespace fedstill
