#include "launch/png_image.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string_view>
#include <system_error>

#include "data/data_error.h"
#include "model/atomic_file.h"
#include "tests/launch/temp_folder.h"

namespace fedstill {
namespace {

using tests::TempFolder;

std::vector<std::uint8_t> pattern(std::size_t size) {
  std::vector<std::uint8_t> pixels(size);
  for (std::size_t i = 0; i < size; ++i) pixels[i] = static_cast<std::uint8_t>(i * 37 % 251);
  return pixels;
}

TEST(PngImage, GrayAndColourComeBack) {
  TempFolder temp;
  for (const std::int64_t channels : {1, 3}) {
    const ImageShape shape{channels, 5, 7};
    const auto pixels = pattern(static_cast<std::size_t>(channels) * 35);
    write_file_atomically(temp / "image.png", encode_png(pixels, shape));
    const Images back = read_png(temp / "image.png", channels);
    EXPECT_EQ(back.shape, shape);
    EXPECT_EQ(back.pixels, pixels);
  }
}

TEST(PngImage, EveryTruncationIsADataError) {
  TempFolder temp;
  const auto bytes = encode_png(pattern(35), {1, 5, 7});
  for (std::size_t size = 0; size + 12 < bytes.size(); ++size) {  // the last chunk holds no pixels
    write_file_atomically(temp / "cut.png", std::span(bytes).first(size));
    EXPECT_THROW(read_png(temp / "cut.png", 1), DataError) << size;
  }
  EXPECT_THROW(read_png(temp / "none.png", 1), std::system_error);
}

TEST(PngImage, NoFlippedByteDoesMoreThanADataError) {
  const auto good = encode_png(pattern(35), {1, 5, 7});
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bytes = good;
    bytes[i] ^= std::byte{0x21};
    try {
      const Images back = decode_png(bytes, 1, "flipped");
      EXPECT_EQ(static_cast<std::size_t>(back.count() * back.pixels_per_image()),
                back.pixels.size());
    } catch (const DataError&) {
    }
  }
}

TEST(PngImage, RefusesASizeNobodyMeans) {
  auto bytes = encode_png(pattern(35), {1, 5, 7});
  bytes[18] = std::byte{0x7f};  // the width's third byte
  EXPECT_THROW(decode_png(bytes, 1, "wide"), DataError);
}

TEST(Base64, KnowsTheVectorsOfItsStandard) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(base64(std::as_bytes(std::span(plain))), encoded);
  }
}

}  // namespace
}  // namespace fedstill
