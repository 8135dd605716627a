// Two samples of three classes: what is accepted holds what is promised and is written back alike.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "data/lesson.h"
#include "model/decode_error.h"
#include "tests/fuzz/right_hash.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fedstill::LessonShape shape{{1, 4, 4}, 2, 3};
  const auto bytes = fedstill::tests::with_right_hash(std::as_bytes(std::span(data, size)));
  try {
    const auto lesson = fedstill::decode_lesson(bytes, shape);
    if (lesson.soft_labels.size() != 6) std::abort();
    if (!std::ranges::equal(fedstill::encode_lesson(lesson, shape), bytes)) std::abort();
    if (fedstill::decode_any_lesson(bytes) != lesson) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  try {
    fedstill::decode_any_lesson(bytes);  // of other shapes, too
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
