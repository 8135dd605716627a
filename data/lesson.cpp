#include "data/lesson.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "model/atomic_file.h"
#include "model/byte_source.h"
#include "model/decode_error.h"
#include "model/finite_weights.h"
#include "model/model_container.h"

namespace fedstill {
namespace {

// The file is the student's model file with one more tensor, which no reader of models accepts.
constexpr const char* kSoftLabels = "fedstill.soft_labels";
constexpr double kSumTolerance = 1e-3;

[[noreturn]] void refuse(const std::string& what) { throw DecodeError("[lesson] " + what); }

void check_labels(const Tensor& labels, const LessonShape& shape) {
  const std::vector<std::int64_t> expected{shape.samples, shape.classes};
  if (labels.dtype() != DType::kF32 || labels.shape() != expected) {
    refuse("soft labels: found " + std::string(name(labels.dtype())) + " " +
           shape_text(labels.shape()) + ", expected F32 " + shape_text(expected));
  }
  const auto values = labels.values<float>();
  const auto classes = static_cast<std::size_t>(shape.classes);
  for (std::size_t row = 0; row < values.size(); row += classes) {
    double sum = 0.0;
    for (const float value : values.subspan(row, classes)) {
      if (!(value >= 0.0F)) refuse("a soft label is " + std::to_string(value));
      sum += value;
    }
    if (!(std::fabs(sum - 1.0) <= kSumTolerance)) {
      refuse("soft label " + std::to_string(row / classes) + " sums to " + std::to_string(sum));
    }
  }
}

void check_student(const Graph& student, const LessonShape& shape, const GraphLimits& limits) {
  const SampleShape image{shape.image.channels, shape.image.height, shape.image.width};
  if (student.input_shape() != image) {
    refuse("the student's input is " + shape_text(student.input_shape()) + ", expected " +
           shape_text(image));
  }
  const auto logits = student.outputs.find("logits");
  if (student.outputs.size() != 1 || logits == student.outputs.end()) {
    refuse("the student's outputs: expected logits alone");
  }
  const auto found = infer_shapes(student, limits).at(static_cast<std::size_t>(logits->second));
  if (found != SampleShape{shape.classes}) {
    refuse("the student's logits are " + shape_text(found) + ", expected " +
           shape_text(SampleShape{shape.classes}));
  }
  if (const auto name = find_not_finite(student); !name.empty()) {
    refuse("tensor '" + std::string(name) + "' of the student is not finite");
  }
}

void check(const Lesson& lesson, const LessonShape& shape, const GraphLimits& limits) {
  check_labels(lesson.soft_labels, shape);
  check_student(lesson.student, shape, limits);
}

LessonShape shape_of(const Lesson& lesson) {
  const SampleShape image = lesson.student.input_shape();
  const auto& labels = lesson.soft_labels.shape();
  if (image.size() != 3 || labels.size() != 2) {
    refuse("a student of " + shape_text(image) + " and labels of " + shape_text(labels) +
           ", expected [C, H, W] and [N, C]");
  }
  return {{image[0], image[1], image[2]}, labels[0], labels[1]};
}

Lesson split(Safetensors file, const ModelFileLimits& limits) {
  const auto labels = file.tensors.find(kSoftLabels);
  if (labels == file.tensors.end()) refuse("there are no soft labels");
  Lesson lesson;
  lesson.soft_labels = std::move(labels->second);
  file.tensors.erase(labels);
  lesson.student = decode_model(encode_safetensors(file.metadata, file.tensors), limits);
  return lesson;
}

}  // namespace

std::vector<std::byte> encode_lesson(const Lesson& lesson, const LessonShape& shape) {
  try {
    check(lesson, shape, {});
  } catch (const DecodeError& error) {
    throw std::invalid_argument(error.what());
  }
  Safetensors file = decode_safetensors(encode_model(lesson.student));
  file.tensors[kSoftLabels] = lesson.soft_labels;
  return encode_container(std::move(file.metadata), file.tensors);
}

Lesson decode_lesson(std::span<const std::byte> bytes, const LessonShape& shape,
                     const ModelFileLimits& limits) {
  try {
    Lesson lesson = split(decode_container(MemorySource(bytes), limits), limits);
    check(lesson, shape, limits.graph);
    // Metadata of other tools would make two files of one lesson.
    if (std::ranges::equal(encode_lesson(lesson, shape), bytes)) return lesson;
  } catch (const std::invalid_argument& error) {  // what was read cannot be written again
    refuse(error.what());
  }
  refuse("this is not how fedstill writes it");
}

Lesson decode_any_lesson(std::span<const std::byte> bytes, const ModelFileLimits& limits) {
  return decode_lesson(
      bytes, shape_of(split(decode_container(MemorySource(bytes), limits), limits)), limits);
}

Lesson read_lesson(const std::filesystem::path& file, const LessonShape& shape,
                   const ModelFileLimits& limits) {
  return decode_lesson(read_file(file, limits.max_file_bytes), shape, limits);
}

}  // namespace fedstill
