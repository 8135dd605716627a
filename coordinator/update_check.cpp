#include "coordinator/update_check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "model/cost.h"
#include "model/decode_error.h"
#include "model/finite_weights.h"

namespace fedstill {
namespace {

std::string shape_problem(const std::string& what, const SampleShape& found,
                          const SampleShape& expected) {
  if (found == expected) return {};
  return "[update] " + what + ": found " + shape_text(found) + ", expected " + shape_text(expected);
}

std::string find_output_problem(const Graph& graph, std::int64_t classes,
                                const GraphLimits& limits) {
  const auto logits = graph.outputs.find("logits");
  const auto confidence = graph.outputs.find("confidence");
  if (graph.outputs.size() != 2 || logits == graph.outputs.end() ||
      confidence == graph.outputs.end()) {
    return "[update] expected exactly the outputs logits and confidence";
  }
  const std::vector<SampleShape> shapes = infer_shapes(graph, limits);
  const auto shape_of = [&](int node) { return shapes[static_cast<std::size_t>(node)]; };
  if (auto problem = shape_problem("logits", shape_of(logits->second), {classes});
      !problem.empty()) {
    return problem;
  }
  return shape_problem("confidence", shape_of(confidence->second), {});
}

std::string find_cost_problem(const Graph& graph, const UpdateLimits& limits) {
  const Cost cost = total_cost(graph);
  const std::int64_t most = limits.max_activation_bytes;
  if (cost.operations > limits.max_operations) {
    return "[update] " + std::to_string(cost.operations) +
           " operations per image, expected at most " + std::to_string(limits.max_operations);
  }
  if (cost.activation_bytes > most || cost.padded_bytes > most - cost.activation_bytes) {
    return "[update] " + std::to_string(cost.activation_bytes) + " bytes of activations and " +
           std::to_string(cost.padded_bytes) + " of padded inputs per image, expected at most " +
           std::to_string(most);
  }
  return {};
}

std::string find_weight_problem(const Graph& graph) {
  for (const auto& [name, tensor] : graph.tensors) {
    if (tensor.dtype() != DType::kF32) return "[update] tensor '" + name + "' is not F32";
  }
  const std::string_view name = find_not_finite(graph);
  return name.empty() ? "" : "[update] tensor '" + std::string(name) + "' is not finite";
}

std::string find_graph_problem(const Graph& graph, const ImageShape& image, std::int64_t classes,
                               const UpdateLimits& limits) {
  std::string problem =
      shape_problem("input", graph.input_shape(), {image.channels, image.height, image.width});
  if (problem.empty()) problem = find_output_problem(graph, classes, limits.file.graph);
  if (problem.empty()) problem = find_cost_problem(graph, limits);
  if (problem.empty()) problem = find_weight_problem(graph);
  return problem;
}

// A file's bytes where the kernel has them.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) : size_(std::filesystem::file_size(path)) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(path);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    ::close(descriptor);
    if (data_ == MAP_FAILED) fail(path);
  }
  ~MappedFile() { ::munmap(data_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  [[noreturn]] static void fail(const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), "[update] " + path.string());
  }
  std::size_t size_;
  void* data_ = nullptr;
};

}  // namespace

std::string find_update_problem(const std::filesystem::path& file, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits) {
  if (std::filesystem::file_size(file) == 0) return "[update] the file is empty";
  const MappedFile mapped(file);
  return find_update_problem(mapped.bytes(), image, classes, limits);
}

std::string find_update_problem(std::span<const std::byte> bytes, const ImageShape& image,
                                std::int64_t classes, const UpdateLimits& limits) {
  try {
    return find_graph_problem(decode_model(bytes, limits.file), image, classes, limits);
  } catch (const DecodeError& error) {
    return error.what();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

}  // namespace fedstill
