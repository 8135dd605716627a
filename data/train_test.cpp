#include <cstdint>
#include <string_view>

#include "data/readers.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

void add(Sha256& sha, std::string_view text) { sha.update(std::as_bytes(std::span(text))); }

// Every part comes after its length, so that no two data sets give the same bytes.
void add_number(Sha256& sha, std::size_t number) { add(sha, std::to_string(number) + " "); }

void add(Sha256& sha, const Dataset& dataset) {
  const ImageShape& shape = dataset.images->shape;
  for (const auto size : {shape.channels, shape.height, shape.width}) {
    add_number(sha, static_cast<std::size_t>(size));
  }
  add_number(sha, dataset.class_names.size());
  for (const auto& name : dataset.class_names) {
    add_number(sha, name.size());
    add(sha, name);
  }
  add_number(sha, dataset.labels.size());
  sha.update(std::as_bytes(std::span(dataset.labels)));
  add_number(sha, dataset.images->pixels.size());
  sha.update(std::as_bytes(std::span(dataset.images->pixels)));
}

}  // namespace

std::string TrainTest::hash() const {
  Sha256 sha;
  add(sha, train);
  add(sha, test);
  return sha.hex();
}

}  // namespace fedstill
