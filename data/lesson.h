#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/images.h"
#include "model/graph.h"
#include "model/model_file.h"
#include "model/tensor.h"

namespace fedstill {

// What a round leaves for the next: its student and the soft labels that it learned from, as one
// file (docs/formats.md). Clients go on from the student, and the labels keep them from forgetting.
struct Lesson {
  Graph student;
  Tensor soft_labels;  // [N, C] float32: one distribution per image of the pool, in its order

  bool operator==(const Lesson&) const = default;
};

// What it must be about.
struct LessonShape {
  ImageShape image;  // the student's input
  std::int64_t samples = 0, classes = 0;
};

// Equal lessons give equal bytes. Throws std::invalid_argument for what no reader accepts.
std::vector<std::byte> encode_lesson(const Lesson& lesson, const LessonShape& shape);

// Throws DecodeError unless the student is a model file within the limits with this input and the
// output "logits" [C], every weight of it finite, and the labels are N rows of C numbers that are
// probabilities: none negative, sums within 0.001 of one.
Lesson decode_lesson(std::span<const std::byte> bytes, const LessonShape& shape,
                     const ModelFileLimits& limits = {});
// Where nobody says what it must be about: it must only agree with itself.
Lesson decode_any_lesson(std::span<const std::byte> bytes, const ModelFileLimits& limits = {});
Lesson read_lesson(const std::filesystem::path& file, const LessonShape& shape,
                   const ModelFileLimits& limits = {});  // and std::system_error

}  // namespace fedstill
