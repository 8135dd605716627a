#include "model/byte_source.h"

#include <gtest/gtest.h>

#include <fstream>
#include <system_error>
#include <vector>

#include "model/decode_error.h"
#include "model/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

std::vector<std::byte> hundred_bytes() {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 100; ++i) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

class ByteSourceTest : public testing::Test {
 protected:
  std::filesystem::path file_of(std::span<const std::byte> bytes) const {
    const auto path = folder_.path() / "bytes";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  static void expect_the_hundred(const ByteSource& source) {
    EXPECT_EQ(source.size(), 100U);
    std::vector<std::byte> some(30);
    source.read(70, some);
    EXPECT_EQ(some.front(), std::byte{70});
    EXPECT_EQ(some.back(), std::byte{99});
    source.read(100, {});
    EXPECT_THROW(source.read(71, some), DecodeError);
    EXPECT_THROW(source.read(~std::uint64_t{0}, some), DecodeError);
  }
  TemporaryFolder folder_;
};

TEST_F(ByteSourceTest, ReadsAnywhereWithinAndNothingBeyond) {
  const auto bytes = hundred_bytes();
  expect_the_hundred(MemorySource(bytes));
  expect_the_hundred(FileSource(file_of(bytes)));
}

TEST_F(ByteSourceTest, AFileThatShrinksIsDamagedAndAMissingOneIsASystemError) {
  const auto path = file_of(hundred_bytes());
  const FileSource source(path);
  std::filesystem::resize_file(path, 50);
  std::vector<std::byte> some(30);
  EXPECT_NO_THROW(source.read(20, some));
  EXPECT_THROW(source.read(21, some), DecodeError);
  EXPECT_THROW(FileSource(folder_.path() / "none"), std::system_error);
}

TEST_F(ByteSourceTest, AContainerIsTheSameFromAFileAndFromMemory) {
  const std::vector<float> values(100'000, 0.5F);  // more than is hashed at once
  const auto bytes = encode_safetensors(
      {{"a", "b"}}, {{"x", Tensor::of_floats({100'000}, values)}, {"y", Tensor(DType::kI8, {3})}});
  const FileSource file(file_of(bytes));
  const Safetensors read = decode_safetensors(file);
  EXPECT_EQ(read.tensors, decode_safetensors(bytes).tensors);
  EXPECT_EQ(read.metadata, decode_safetensors(bytes).metadata);
  EXPECT_EQ(safetensors_data_hash(file), safetensors_data_hash(read.tensors));
}

}  // namespace
}  // namespace fedstill
