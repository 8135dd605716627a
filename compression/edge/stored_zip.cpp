#include "compression/edge/stored_zip.h"

#include <zip.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

constexpr std::uint16_t kEpoch = 1 << 5 | 1;  // 1 January 1980 as a DOS date

struct SourceFree {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
struct ArchiveDiscard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FileClose {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Source = std::unique_ptr<zip_source_t, SourceFree>;
using Archive = std::unique_ptr<zip_t, ArchiveDiscard>;
using File = std::unique_ptr<zip_file_t, FileClose>;

// Writing to memory fails for want of memory or by a bug of ours.
void require(bool holds, zip_error_t* error) {
  if (!holds) throw std::runtime_error(std::string("[zip] ") + zip_error_strerror(error));
}

Source source_over(std::span<const std::byte> bytes) {
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  zip_error_fini(&error);
  if (!source) throw std::bad_alloc();
  return source;
}

// The archive takes one reference of the source, the caller keeps the other.
Archive open(zip_source_t* source, int flags, zip_error_t& error) {
  zip_source_keep(source);
  Archive archive(zip_open_from_source(source, flags, &error));
  if (!archive) zip_source_free(source);
  return archive;
}

void add(zip_t* archive, const ZipEntry& entry) {
  zip_source_t* data = zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0);
  require(data != nullptr, zip_get_error(archive));
  const zip_int64_t index = zip_file_add(archive, entry.name.c_str(), data, ZIP_FL_ENC_UTF_8);
  if (index < 0) zip_source_free(data);
  require(index >= 0, zip_get_error(archive));
  const auto at = static_cast<zip_uint64_t>(index);
  require(zip_set_file_compression(archive, at, ZIP_CM_STORE, 0) == 0, zip_get_error(archive));
  require(zip_file_set_dostime(archive, at, 0, kEpoch, 0) == 0, zip_get_error(archive));
}

std::vector<std::byte> read_all(zip_source_t* source) {
  zip_stat_t stat;
  require(zip_source_stat(source, &stat) == 0 && zip_source_open(source) == 0,
          zip_source_error(source));
  std::vector<std::byte> bytes(static_cast<std::size_t>(stat.size));
  const zip_int64_t count = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  require(count == static_cast<zip_int64_t>(bytes.size()), zip_source_error(source));
  return bytes;
}

std::uint64_t little_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return value;
}

// The library sizes its tables from the record at the end, so that is read first: one disk, this
// many entries, no zip64, the directory directly before it, no comment behind it.
void check_end_record(std::span<const std::byte> bytes, std::size_t entries) {
  constexpr std::size_t kRecord = 22, kLocator = 20;
  if (bytes.size() < kRecord + kLocator) throw DecodeError("[zip] too short for an archive");
  const std::size_t end = bytes.size() - kRecord;
  const bool is_plain = little_endian(bytes, end, 4) == 0x06054b50 &&
                        little_endian(bytes, end - kLocator, 4) != 0x07064b50 &&
                        little_endian(bytes, end + 4, 4) == 0 &&
                        little_endian(bytes, end + 20, 2) == 0;
  const std::uint64_t directory = little_endian(bytes, end + 16, 4);
  if (!is_plain || directory + little_endian(bytes, end + 12, 4) != end) {
    throw DecodeError("[zip] damaged, or bytes before or after the archive");
  }
  if (little_endian(bytes, end + 8, 2) != entries || little_endian(bytes, end + 10, 2) != entries) {
    throw DecodeError("[zip] found " + std::to_string(little_endian(bytes, end + 10, 2)) +
                      " entries, expected " + std::to_string(entries));
  }
}

struct Found {
  std::string name;
  std::size_t size = 0;
};

Found stat_entry(zip_t* archive, zip_uint64_t index,
                 const std::map<std::string, std::size_t>& max_bytes, std::size_t archive_bytes) {
  zip_stat_t stat;
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat_index(archive, index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
    throw DecodeError(std::string("[zip] ") + zip_strerror(archive));
  }
  const auto known = max_bytes.find(stat.name);
  if (known == max_bytes.end()) {
    throw DecodeError("[zip] unknown entry '" + shown(stat.name) + "'");
  }
  if (stat.comp_method != ZIP_CM_STORE) {
    throw DecodeError("[zip] entry '" + known->first + "' is compressed, expected stored");
  }
  if (stat.size > known->second || stat.size > archive_bytes) {
    throw DecodeError("[zip] entry '" + known->first + "' has " + std::to_string(stat.size) +
                      " bytes, limit " + std::to_string(known->second));
  }
  return {.name = known->first, .size = static_cast<std::size_t>(stat.size)};
}

std::vector<std::byte> read_entry(zip_t* archive, zip_uint64_t index, const Found& found) {
  const File file(zip_fopen_index(archive, index, 0));
  if (!file) throw DecodeError("[zip] entry '" + found.name + "': " + zip_strerror(archive));
  std::vector<std::byte> bytes(found.size);
  std::byte beyond;  // the checksum is compared only when the end has been seen
  if (zip_fread(file.get(), bytes.data(), bytes.size()) != static_cast<zip_int64_t>(bytes.size()) ||
      zip_fread(file.get(), &beyond, 1) != 0) {
    throw DecodeError("[zip] entry '" + found.name + "' is damaged");
  }
  return bytes;
}

}  // namespace

std::vector<std::byte> write_stored_zip(std::span<const ZipEntry> entries) {
  const Source source = source_over({});
  zip_error_t error;
  zip_error_init(&error);
  Archive archive = open(source.get(), ZIP_TRUNCATE, error);
  require(archive != nullptr, &error);
  for (const ZipEntry& entry : entries) add(archive.get(), entry);
  require(zip_close(archive.get()) == 0, zip_get_error(archive.get()));
  static_cast<void>(archive.release());  // a successful close frees it
  return read_all(source.get());
}

std::map<std::string, std::vector<std::byte>> read_stored_zip(
    std::span<const std::byte> bytes, const std::map<std::string, std::size_t>& max_bytes) {
  check_end_record(bytes, max_bytes.size());
  const Source source = source_over(bytes);
  zip_error_t error;
  zip_error_init(&error);
  const Archive archive = open(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, error);
  if (!archive) {
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw DecodeError("[zip] " + why);
  }
  std::map<std::string, std::vector<std::byte>> entries;
  for (std::size_t i = 0; i < max_bytes.size(); ++i) {
    const Found found = stat_entry(archive.get(), i, max_bytes, bytes.size());
    if (!entries.emplace(found.name, read_entry(archive.get(), i, found)).second) {
      throw DecodeError("[zip] entry '" + found.name + "' appears twice");
    }
  }
  return entries;
}

}  // namespace fedstill
