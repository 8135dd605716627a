#include "transport/message.h"

#include <algorithm>
#include <stdexcept>

namespace fedstill {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxArchitecture = 64;
constexpr std::size_t kMaxReason = 1024;
constexpr std::int64_t kMaxClasses = 1'000'000;

bool is_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  // A name may end up in a path: neither "." nor ".." nor a hidden file.
  return !text.empty() && text.size() <= kMaxName && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

// Bytes of the printable UTF-8 character at the front, or 0 if there is none (RFC 3629: no overlong
// forms, no surrogates, nothing past U+10FFFF).
std::size_t character_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  unsigned code = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3F);
  }
  constexpr unsigned kSmallest[] = {0, 0, 0xA0, 0x800, 0x10000};  // U+0080–9F are controls
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return lead < 0xC2 || lead > 0xF4 || code < kSmallest[size] || code > 0x10FFFF || surrogate
             ? 0
             : size;
}

bool is_free_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) return false;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

// A field's value that is out of range, as its problem.
struct Finder {
  std::string operator()(const Join& join) const {
    if (!is_name(join.client)) return name_problem(join.client);
    if (!is_free_text(join.architecture, kMaxArchitecture)) return text_problem("architecture");
    return count_problem(join.sample_count);
  }
  std::string operator()(const RoundPlan& plan) const {
    if (!is_sha256(plan.job)) return hash_problem("job", plan.job);
    if (!is_sha256(plan.pool_hash)) return hash_problem("pool_hash", plan.pool_hash);
    if (plan.classes < 1 || plan.classes > kMaxClasses) {
      return "classes: found " + std::to_string(plan.classes) + ", expected 1 to " +
             std::to_string(kMaxClasses);
    }
    return {};
  }
  std::string operator()(const Upload& upload) const {
    if (!is_name(upload.client)) return name_problem(upload.client);
    if (!is_sha256(upload.sha256)) return hash_problem("sha256", upload.sha256);
    return count_problem(upload.sample_count);
  }
  std::string operator()(const Acknowledgement& acknowledgement) const {
    const std::string& hash = acknowledgement.sha256;
    if (!hash.empty() && !is_sha256(hash)) return hash_problem("sha256", hash);
    if (!is_free_text(acknowledgement.reason, kMaxReason)) return text_problem("reason");
    return {};
  }
  std::string operator()(const Bundle& bundle) const {
    return is_sha256(bundle.sha256) ? std::string{} : hash_problem("sha256", bundle.sha256);
  }

 private:
  static std::string name_problem(std::string_view found) {
    return "client: found '" + to_free_text(found, kMaxName) +
           "', expected 1 to 64 of a-z A-Z 0-9 . _ -, not beginning with a dot";
  }
  static std::string hash_problem(std::string_view field, std::string_view found) {
    return std::string(field) + ": found '" + to_free_text(found, 64) +
           "', expected 64 lower-case hex digits";
  }
  static std::string text_problem(std::string_view field) {
    return std::string(field) + ": expected printable UTF-8 within its limit";
  }
  static std::string count_problem(std::int64_t count) {
    if (count >= 0) return {};
    return "sample_count: found " + std::to_string(count) + ", expected 0 or more";
  }
};

}  // namespace

MessageKind kind_of(const Message& message) {
  // The alternatives stand in the order of their wire kinds, which begin at one.
  return static_cast<MessageKind>(message.index() + 1);
}

std::string_view name(MessageKind kind) {
  switch (kind) {
    case MessageKind::kJoin:
      return "Join";
    case MessageKind::kRoundPlan:
      return "RoundPlan";
    case MessageKind::kUpload:
      return "Upload";
    case MessageKind::kAcknowledgement:
      return "Acknowledgement";
    case MessageKind::kBundle:
      return "Bundle";
  }
  throw std::invalid_argument("[message] unknown kind " +
                              std::to_string(static_cast<unsigned>(kind)));
}

bool carries_body(MessageKind kind) {
  return kind == MessageKind::kUpload || kind == MessageKind::kBundle;
}

std::string find_problem(const Message& message) { return std::visit(Finder{}, message); }

std::string to_free_text(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const std::string_view next = size == 0 ? std::string_view("?") : text.substr(0, size);
    if (out.size() + next.size() > max_bytes) break;
    out += next;
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

bool is_sha256(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_hex);
}

}  // namespace fedstill
