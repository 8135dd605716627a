#include "data/lesson.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "model/builder.h"
#include "model/decode_error.h"
#include "model/model_container.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using tests::error_of;

LessonShape some_shape() { return {{1, 4, 4}, 2, 3}; }

Graph some_student() {
  GraphBuilder builder("tiny", {1, 4, 4}, 7);
  return std::move(builder).finish(builder.linear(builder.unary(0, Op::kFlatten), 3));
}

Lesson some_lesson() {
  return {some_student(),
          Tensor::of_floats({2, 3}, std::vector<float>{0.5F, 0.25F, 0.25F, 0.0F, 1.0F, 0.0F})};
}

std::string refusal(const std::vector<std::byte>& bytes, const LessonShape& shape = some_shape()) {
  return error_of<DecodeError>([&] { decode_lesson(bytes, shape); });
}
// A file that our writer would not write.
std::vector<std::byte> changed(const std::function<void(Safetensors&)>& change) {
  const auto bytes = encode_lesson(some_lesson(), some_shape());
  Safetensors file = decode_container(MemorySource(bytes), {});
  change(file);
  return encode_container(file.metadata, file.tensors);
}
std::vector<std::byte> with_labels(const std::vector<std::int64_t>& shape,
                                   const std::vector<float>& values) {
  return changed([&](Safetensors& file) {
    file.tensors.at("fedstill.soft_labels") = Tensor::of_floats(shape, values);
  });
}

TEST(Lesson, RoundTrip) {
  const auto bytes = encode_lesson(some_lesson(), some_shape());
  EXPECT_EQ(decode_lesson(bytes, some_shape()), some_lesson());
  EXPECT_EQ(encode_lesson(decode_lesson(bytes, some_shape()), some_shape()), bytes);
}

TEST(Lesson, IsReadByWhoDoesNotKnowWhatItIsAbout) {
  const auto bytes = encode_lesson(some_lesson(), some_shape());
  EXPECT_EQ(decode_any_lesson(bytes), some_lesson());
  const auto refusal_of_any = [](const std::vector<std::byte>& file) {
    return error_of<DecodeError>([&] { decode_any_lesson(file); });
  };
  EXPECT_NE(refusal_of_any(with_labels({6}, std::vector<float>(6, 0.5F))), "no error");
  EXPECT_NE(refusal_of_any(with_labels({3, 2}, std::vector<float>(6, 0.5F))), "no error");
  EXPECT_NE(refusal_of_any(with_labels({2, 3}, std::vector<float>(6, 0.5F))), "no error");
  EXPECT_NE(refusal_of_any(encode_model(some_student())), "no error");
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    EXPECT_NE(refusal_of_any({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}),
              "no error");
  }
}

TEST(Lesson, EveryTruncationAndLeftOverByteIsRefused) {
  auto bytes = encode_lesson(some_lesson(), some_shape());
  for (std::size_t size = 0; size < bytes.size(); size += size < 2000 ? 1 : 97) {
    EXPECT_NE(refusal({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}),
              "no error");
  }
  bytes.push_back(std::byte{0});
  EXPECT_NE(refusal(bytes), "no error");
}

TEST(Lesson, AFlippedByteIsRefusedOrAnotherLesson) {
  const auto good = encode_lesson(some_lesson(), some_shape());
  const std::size_t data_begin = safetensors_data_offset(MemorySource(good));
  for (std::size_t at = 0; at < good.size(); at += at < 2500 ? 1 : 41) {
    auto bytes = good;
    bytes[at] ^= std::byte{0x41};
    if (at >= data_begin) {
      EXPECT_NE(refusal(bytes).find("damaged"), std::string::npos) << at;
      continue;
    }
    try {
      EXPECT_NE(decode_lesson(bytes, some_shape()), some_lesson()) << at;
    } catch (const DecodeError&) {
    }
  }
}

TEST(Lesson, LabelsAreDistributions) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(refusal(with_labels({2, 3}, {0.5F, 0.5F, 0.5F, 0.0F, 1.0F, 0.0F})).find("sums to 1.5"),
            std::string::npos);
  for (const float bad : {-0.5F, kNan, std::numeric_limits<float>::infinity()}) {
    EXPECT_NE(refusal(with_labels({2, 3}, {bad, 1.0F, 0.0F, 0.0F, 1.0F, 0.0F})), "no error") << bad;
  }
  EXPECT_NE(refusal(with_labels({3, 2}, {1, 0, 1, 0, 1, 0})).find("[3, 2], expected F32 [2, 3]"),
            std::string::npos);
  EXPECT_NE(refusal(changed([](Safetensors& f) { f.tensors.erase("fedstill.soft_labels"); })),
            "no error");
}

TEST(Lesson, TheStudentFitsTheJob) {
  const auto bytes = encode_lesson(some_lesson(), some_shape());
  EXPECT_NE(refusal(bytes, {{1, 4, 4}, 3, 3}), "no error");
  EXPECT_NE(refusal(bytes, {{1, 4, 4}, 2, 4}), "no error");
  EXPECT_NE(refusal(bytes, {{1, 4, 5}, 2, 3}).find("input is [1, 4, 4]"), std::string::npos);
  Lesson lesson = some_lesson();
  lesson.student.outputs["confidence"] = lesson.student.outputs.at("logits");
  EXPECT_THROW(encode_lesson(lesson, some_shape()), std::invalid_argument);
  EXPECT_NE(refusal(changed([](Safetensors& f) {
              for (auto& [name, tensor] : f.tensors) {
                if (name != "fedstill.soft_labels") tensor.values<float>()[0] = std::nanf("");
              }
            })).find("not finite"),
            std::string::npos);
}

TEST(Lesson, OneLessonHasOneFile) {
  EXPECT_NE(refusal(changed([](Safetensors& file) { file.metadata["note"] = "mine"; })),
            "no error");
  EXPECT_NE(refusal(changed([](Safetensors& file) {
              file.tensors["more"] = Tensor::of_floats({1}, std::vector<float>{0.0F});
            })),
            "no error");
}

}  // namespace
}  // namespace fedstill
