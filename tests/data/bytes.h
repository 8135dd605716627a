#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

// Bytes as the readers should find them, made without the code under test.
namespace fedstill::tests {

using Bytes = std::vector<std::uint8_t>;

inline void put_word(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift & 0xFF));
  }
}

// Pixel values count up from `first`.
inline Bytes idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width,
                        std::uint8_t first = 0) {
  Bytes out;
  for (const std::uint32_t word : {0x803U, count, height, width}) put_word(out, word);
  for (std::uint32_t i = 0; i < count * height * width; ++i) {
    out.push_back(static_cast<std::uint8_t>(first + i));
  }
  return out;
}

inline Bytes idx_labels(const Bytes& labels) {
  Bytes out;
  put_word(out, 0x801);
  put_word(out, static_cast<std::uint32_t>(labels.size()));
  out.insert(out.end(), labels.begin(), labels.end());
  return out;
}

inline Bytes cifar_records(const Bytes& labels) {
  Bytes out;
  for (const std::uint8_t label : labels) {
    out.push_back(label);
    for (int i = 0; i < 3072; ++i) out.push_back(static_cast<std::uint8_t>(i + label));
  }
  return out;
}

inline Bytes gzip(Bytes bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  Bytes out(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = bytes.data();
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A folder of its own for one test, gone afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fedstill-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

// The message of the Error that `call` throws; a failure if it throws none.
template <typename Error, typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace fedstill::tests
