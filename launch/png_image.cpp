#include "launch/png_image.h"

#include <png.h>

#include <cstring>
#include <stdexcept>

#include "data/data_error.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxPngBytes = std::size_t{64} << 20;
constexpr std::uint32_t kMaxSide = 4096;

// libpng wants interleaved rows, we keep planes.
std::vector<std::uint8_t> interleave(std::span<const std::uint8_t> planes, std::size_t channels,
                                     std::size_t pixels) {
  std::vector<std::uint8_t> out(channels * pixels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) out[i * channels + c] = planes[c * pixels + i];
  }
  return out;
}

struct PngImage : png_image {
  PngImage() {
    std::memset(static_cast<png_image*>(this), 0, sizeof(png_image));
    version = PNG_IMAGE_VERSION;
  }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

void begin_reading(PngImage& image, std::span<const std::byte> bytes, const std::string& origin) {
  if (bytes.size() > kMaxPngBytes) {
    throw DataError("[png] " + origin + " has " + std::to_string(bytes.size()) +
                    " bytes, expected at most " + std::to_string(kMaxPngBytes));
  }
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) {
    throw DataError("[png] " + origin + ": " + image.message);
  }
}

}  // namespace

std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, const ImageShape& shape) {
  const std::size_t channels = shape.channels == 3 ? 3 : 1;
  const auto area = static_cast<std::size_t>(shape.height * shape.width);
  const auto rows = interleave(pixels, channels, area);
  PngImage image;
  image.width = static_cast<std::uint32_t>(shape.width);
  image.height = static_cast<std::uint32_t>(shape.height);
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = 0;
  if (!png_image_write_get_memory_size(image, size, 0, rows.data(), 0, nullptr)) {
    throw std::runtime_error(std::string("[png] ") + image.message);
  }
  std::vector<std::byte> out(size);
  if (!png_image_write_to_memory(&image, out.data(), &size, 0, rows.data(), 0, nullptr)) {
    throw std::runtime_error(std::string("[png] ") + image.message);
  }
  out.resize(size);
  return out;
}

std::int64_t png_channels(std::span<const std::byte> bytes, const std::string& origin) {
  PngImage image;
  begin_reading(image, bytes, origin);
  return (image.format & PNG_FORMAT_FLAG_COLOR) == 0 ? 1 : 3;
}

Images decode_png(std::span<const std::byte> bytes, std::int64_t channels,
                  const std::string& origin) {
  PngImage image;
  begin_reading(image, bytes, origin);
  if (image.width > kMaxSide || image.height > kMaxSide) {
    throw DataError("[png] " + origin + " is " + std::to_string(image.width) + " × " +
                    std::to_string(image.height) + ", expected at most 4096 × 4096");
  }
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const std::size_t found = channels == 1 ? 1 : 3;
  const std::size_t area = std::size_t{image.width} * image.height;
  std::vector<std::uint8_t> rows(area * found);
  const png_color background{0, 0, 0};
  if (!png_image_finish_read(&image, &background, rows.data(), 0, nullptr)) {
    throw DataError("[png] " + origin + ": " + image.message);
  }
  Images out{{static_cast<std::int64_t>(found), image.height, image.width}, {}};
  out.pixels.resize(rows.size());
  for (std::size_t c = 0; c < found; ++c) {
    for (std::size_t i = 0; i < area; ++i) out.pixels[c * area + i] = rows[i * found + c];
  }
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8U | (j < left ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= left ? kAlphabet[group >> (18U - 6U * j) & 63U] : '=';
    }
  }
  return out;
}

}  // namespace fedstill
