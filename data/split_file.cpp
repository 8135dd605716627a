// What makes a split checkable: its hash, its disjointness, and its JSON file.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "data/split.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/named_file.h"
#include "model/sha256.h"
#include "model/text_file.h"

namespace fedstill {
namespace {

using Json = nlohmann::json;
using IndexList = std::vector<std::int64_t>;

constexpr std::string_view kFormat = "fedstill.split";
constexpr std::uint64_t kSplitVersion = 1;
constexpr std::size_t kMaxSplitFileBytes = std::size_t{1} << 30;
constexpr std::uint64_t kMaxIndex = (std::uint64_t{1} << 40) - 1;

[[noreturn]] void refuse_file(const std::string& what) { throw DecodeError("[split] " + what); }

void hash_number(Sha256& sha, std::uint64_t number) {
  std::array<std::byte, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(number >> (8 * i) & 0xFF);
  }
  sha.update(bytes);
}

void hash_list(Sha256& sha, const IndexList& list) {
  hash_number(sha, list.size());
  for (const std::int64_t index : list) hash_number(sha, static_cast<std::uint64_t>(index));
}

// Which list an image is in: a client's number, then the pool, then validation.
std::string list_name(std::size_t list, std::size_t clients) {
  if (list < clients) return "client " + std::to_string(list);
  return list == clients ? "pool" : "validation";
}

using Owned = std::pair<std::int64_t, std::size_t>;  // image, list

std::vector<Owned> sorted_owners(const Split& split) {
  std::vector<Owned> owned;
  std::size_t list = 0;
  for (const IndexList& client : split.clients) {
    for (const std::int64_t image : client) owned.emplace_back(image, list);
    ++list;
  }
  for (const std::int64_t image : split.pool) owned.emplace_back(image, list);
  for (const std::int64_t image : split.validation) owned.emplace_back(image, list + 1);
  std::ranges::sort(owned);
  return owned;
}

// Says what is wrong with the first image that is out of range or owned twice.
std::optional<std::string> find_conflict(const Split& split, std::int64_t images) {
  const std::vector<Owned> owned = sorted_owners(split);
  const std::size_t clients = split.clients.size();
  for (std::size_t i = 0; i < owned.size(); ++i) {
    const auto& [image, list] = owned[i];
    if (image < 0 || image >= images) {
      return "found image " + std::to_string(image) + " in " + list_name(list, clients) +
             ", expected 0 to " + std::to_string(images - 1);
    }
    if (i > 0 && owned[i - 1].first == image) {
      return "found image " + std::to_string(image) + " in " +
             list_name(owned[i - 1].second, clients) + " and in " + list_name(list, clients) +
             ", expected it once";
    }
  }
  return std::nullopt;
}

// Takes exactly the tokens of a split file, one by one, so that nothing but the lists is ever
// built from the bytes, and an unknown or repeated key is an error.
class SplitReader : public nlohmann::json_sax<Json> {
 public:
  Split finish();

  bool start_object(std::size_t /*size*/) override;
  bool end_object() override;
  bool key(std::string& name) override;
  bool string(std::string& text) override;
  bool number_unsigned(std::uint64_t number) override;
  bool start_array(std::size_t /*size*/) override;
  bool end_array() override;

  bool null() override { return unexpected("null"); }
  bool boolean(bool /*value*/) override { return unexpected("a boolean"); }
  bool number_integer(std::int64_t /*value*/) override { return unexpected("a negative number"); }
  bool number_float(double /*value*/, const std::string& /*text*/) override {
    return unexpected("a fraction");
  }
  bool binary(Json::binary_t& /*value*/) override { return unexpected("binary"); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    refuse_file("found damaged JSON at byte " + std::to_string(position));
  }

 private:
  enum Key { kNone, kFormatKey, kVersionKey, kHash, kClients, kPool, kValidation, kKeys };
  static constexpr std::array<std::string_view, kKeys> kNames{
      "", "format", "version", "sha256", "clients", "pool", "validation"};

  [[noreturn]] bool unexpected(const std::string& found) const {
    refuse_file("found " + found + " in key \"" + std::string(kNames[key_]) +
                "\", expected no such");
  }
  bool is_list() const { return key_ == kClients || key_ == kPool || key_ == kValidation; }

  Split split_;
  std::string hash_;
  Key key_ = kNone;
  std::array<bool, kKeys> seen_{};
  bool open_ = false;          // inside the object
  int depth_ = 0;              // of arrays
  IndexList* list_ = nullptr;  // that numbers go to
};

bool SplitReader::start_object(std::size_t /*size*/) {
  if (open_) unexpected("an object");
  open_ = true;
  return true;
}

bool SplitReader::end_object() { return true; }

bool SplitReader::key(std::string& name) {
  const auto* const found = std::ranges::find(kNames, name);
  if (found == kNames.end() || name.empty())
    refuse_file("found unknown key \"" + name.substr(0, 40) + '"');
  key_ = static_cast<Key>(found - kNames.begin());
  if (std::exchange(seen_[key_], true)) refuse_file("found key \"" + name + "\" twice");
  return true;
}

bool SplitReader::string(std::string& text) {
  if (key_ == kHash && depth_ == 0) {
    hash_ = text;
  } else if (key_ != kFormatKey || text != kFormat) {
    unexpected("string \"" + text.substr(0, 40) + '"');
  }
  return true;
}

bool SplitReader::number_unsigned(std::uint64_t number) {
  if (list_ != nullptr && number <= kMaxIndex) {
    list_->push_back(static_cast<std::int64_t>(number));
  } else if (key_ != kVersionKey || number != kSplitVersion) {
    unexpected("number " + std::to_string(number));
  }
  return true;
}

bool SplitReader::start_array(std::size_t /*size*/) {
  ++depth_;
  if (!is_list() || list_ != nullptr) unexpected("an array");
  if (key_ == kPool) list_ = &split_.pool;
  if (key_ == kValidation) list_ = &split_.validation;
  if (key_ == kClients && depth_ == 2) {
    if (std::ssize(split_.clients) == kMaxSplitClients) {
      refuse_file("found more than " + std::to_string(kMaxSplitClients) + " clients");
    }
    list_ = &split_.clients.emplace_back();
  }
  return true;
}

bool SplitReader::end_array() {
  --depth_;
  list_ = nullptr;
  return true;
}

Split SplitReader::finish() {
  for (std::size_t i = kFormatKey; i < kKeys; ++i) {
    if (!seen_[i]) refuse_file("found no key \"" + std::string(kNames[i]) + '"');
  }
  if (split_.clients.empty()) refuse_file("found no clients, expected at least one");
  for (std::size_t i = 0; i < split_.clients.size(); ++i) {
    if (split_.clients[i].empty()) refuse_file("found no images for client " + std::to_string(i));
  }
  if (split_.hash() != hash_) refuse_file("found hash " + split_.hash() + ", expected " + hash_);
  if (const auto conflict = find_conflict(split_, kMaxIndex + 1)) refuse_file(*conflict);
  return std::move(split_);
}

}  // namespace

std::string Split::hash() const {
  Sha256 sha;
  constexpr std::string_view kDomain = "fedstill.split.1";
  sha.update(std::as_bytes(std::span(kDomain)));
  hash_number(sha, clients.size());
  for (const IndexList& client : clients) hash_list(sha, client);
  hash_list(sha, pool);
  hash_list(sha, validation);
  return sha.hex();
}

void check_disjoint(const Split& split, std::int64_t images) {
  if (const auto conflict = find_conflict(split, images)) {
    throw std::logic_error("[split] " + *conflict);
  }
}

void write_split(const std::filesystem::path& path, const Split& split) {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["version"] = kSplitVersion;
  json["sha256"] = split.hash();
  json["clients"] = split.clients;
  json["pool"] = split.pool;
  json["validation"] = split.validation;
  write_file_atomically(path, json.dump() + "\n");
}

Split decode_split(std::string_view json) {
  SplitReader reader;
  Json::sax_parse(json, &reader);
  return reader.finish();
}

Split read_split(const std::filesystem::path& path) {
  const std::string text = read_text(path, kMaxSplitFileBytes);
  return decode_named(path, [&] { return decode_split(text); });
}

}  // namespace fedstill
