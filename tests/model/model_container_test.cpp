#include "model/model_container.h"

#include <gtest/gtest.h>

#include "model/decode_error.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

std::map<std::string, Tensor> some_tensors() {
  return {{"codes", Tensor(DType::kI8, {3})},
          {"reals", Tensor::of_floats({2}, std::vector<float>{1.0F, 2.0F})}};
}

TEST(ModelContainer, GivesBackWhatItWasGiven) {
  const auto bytes = encode_container({{"a", "b"}}, some_tensors());
  const Safetensors read = decode_container(MemorySource(bytes), {});
  EXPECT_EQ(read.tensors, some_tensors());
  EXPECT_EQ(read.metadata, (std::map<std::string, std::string>{{"a", "b"}}));
  EXPECT_EQ(decode_safetensors(bytes).metadata.at("fedstill.data_sha256"),
            safetensors_data_hash(MemorySource(bytes)));
}

TEST(ModelContainer, EveryFlipOfTheDataIsFound) {
  auto bytes = encode_container({}, some_tensors());
  const std::size_t size = bytes.size() - safetensors_data_offset(MemorySource(bytes));
  EXPECT_EQ(size, 11U);
  for (std::size_t at = bytes.size() - size; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{4};
    EXPECT_NE(tests::error_of<DecodeError>([&] {
                decode_container(MemorySource(bytes), {});
              }).find("damaged"),
              std::string::npos);
    bytes[at] ^= std::byte{4};
  }
  EXPECT_NO_THROW(decode_container(MemorySource(bytes), {}));
}

TEST(ModelContainer, OtherWritersMayLeaveTheHashOut) {
  const auto without = encode_safetensors({}, some_tensors());
  EXPECT_EQ(decode_container(MemorySource(without), {}).tensors, some_tensors());
  const auto wrong = encode_safetensors({{"fedstill.data_sha256", "x"}}, some_tensors());
  EXPECT_THROW(decode_container(MemorySource(wrong), {}), DecodeError);
}

}  // namespace
}  // namespace fedstill
