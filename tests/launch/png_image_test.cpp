#include "launch/png_image.h"

#include <gtest/gtest.h>

#include <string_view>

#include "data/data_error.h"

namespace fedstill {
namespace {

std::vector<std::uint8_t> pattern(std::size_t size) {
  std::vector<std::uint8_t> pixels(size);
  for (std::size_t i = 0; i < size; ++i) pixels[i] = static_cast<std::uint8_t>(i * 37 % 251);
  return pixels;
}

TEST(PngImage, GrayAndColourComeBack) {
  for (const std::int64_t channels : {1, 3}) {
    const ImageShape shape{channels, 5, 7};
    const auto pixels = pattern(static_cast<std::size_t>(channels) * 35);
    const auto png = encode_png(pixels, shape);
    const Images back = decode_png(png, channels, "image");
    EXPECT_EQ(png_channels(png, "image"), channels);
    EXPECT_EQ(back.shape, shape);
    EXPECT_EQ(back.pixels, pixels);
  }
}

TEST(PngImage, EveryTruncationIsADataError) {
  const auto bytes = encode_png(pattern(35), {1, 5, 7});
  for (std::size_t size = 0; size + 12 < bytes.size(); ++size) {  // the last chunk holds no pixels
    EXPECT_THROW(decode_png(std::span(bytes).first(size), 1, "cut"), DataError) << size;
  }
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
