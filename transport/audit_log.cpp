#include "transport/audit_log.h"

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <system_error>
#include <utility>

#include "model/decode_error.h"
#include "model/sha256.h"
#include "transport/message.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashDigits = 64;
constexpr std::size_t kMaxText = 256;
constexpr std::size_t kMaxLine = 8192;
constexpr std::string_view kBeforePrevious = R"(,"previous":")";
constexpr std::string_view kBeforeHash = R"(","hash":")";
constexpr std::string_view kEnd = R"("})";

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : to_free_text(text, kMaxText)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string utc_text(std::int64_t unix_milliseconds) {
  const std::time_t seconds = static_cast<std::time_t>(unix_milliseconds / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ",
                static_cast<int>(unix_milliseconds % 1000));
  return text.data();
}

std::string hash_of(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

// All of a line before its own hash.
std::string hashed_part(const AuditEntry& entry, const AuditSummary& before) {
  return "{\"seq\":" + std::to_string(before.entries + 1) + ",\"time\":\"" +
         utc_text(entry.unix_milliseconds) + "\",\"peer\":" + json_text(entry.peer) +
         ",\"action\":" + json_text(entry.action) + ",\"what\":" + json_text(entry.what) +
         ",\"bytes\":" + std::to_string(entry.bytes) + ",\"sha256\":" + json_text(entry.sha256) +
         std::string(kBeforePrevious) + before.last_hash;
}

AuditSummary nothing_yet() { return {0, std::string(kHashDigits, '0'), 0}; }

// Takes what must stand at the end; empty where it does not.
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::string_view take_hash(std::string_view& text) {
  if (text.size() < kHashDigits) return {};
  const std::string_view hash = text.substr(text.size() - kHashDigits);
  text.remove_suffix(kHashDigits);
  return hash;
}

void check_line(std::string_view line, AuditSummary& summary) {
  const std::uint64_t number = summary.entries + 1;
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw DecodeError("[audit] line " + std::to_string(number) + ": " + what);
  };
  std::string_view rest = line;
  require(line.size() <= kMaxLine && take_suffix(rest, kEnd), "not an entry");
  const std::string_view hash = take_hash(rest);
  require(take_suffix(rest, kBeforeHash), "not an entry");
  require(hash_of(rest) == hash, "changed: its hash does not fit");
  require(take_hash(rest) == summary.last_hash, "does not follow the line before");
  require(take_suffix(rest, kBeforePrevious), "not an entry");
  require(rest.starts_with("{\"seq\":" + std::to_string(number) + ","), "not the next number");
  summary.entries = number;
  summary.last_hash = hash;
}

}  // namespace

std::optional<AuditEntry> audit_entry(const std::string& peer, const Frame& frame, bool received,
                                      std::int64_t unix_milliseconds) {
  const Message& message = frame.message;
  const bool is_one_of_many = std::holds_alternative<BlobChunk>(message) ||
                              std::holds_alternative<BlobProgress>(message) ||
                              std::holds_alternative<Heartbeat>(message);
  if (is_one_of_many) return std::nullopt;
  AuditEntry entry{
      unix_milliseconds, peer, received ? "received" : "sent", std::string(name(kind_of(message))),
      frame.body.size(), {}};
  std::visit(
      [&](const auto& fields) {
        if constexpr (requires { fields.sha256; }) entry.sha256 = fields.sha256;
        if constexpr (requires { fields.bytes; }) entry.bytes = fields.bytes;
        if constexpr (requires { fields.purpose; }) entry.what += " of " + fields.purpose;
        if constexpr (requires { fields.round; }) {
          entry.what += " of round " + std::to_string(fields.round);
        }
        if constexpr (requires { fields.offset; }) {
          entry.what += " from byte " + std::to_string(fields.offset);
        }
        if constexpr (requires { fields.accepted; }) {
          entry.what += fields.accepted ? ": accepted" : ": refused: " + fields.reason;
        }
      },
      message);
  return entry;
}

AuditSummary verify_audit_text(std::string_view text) {
  AuditSummary summary = nothing_yet();
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    check_line(text.substr(0, end), summary);
    text.remove_prefix(end + 1);
  }
  summary.torn_bytes = text.size();
  return summary;
}

AuditSummary verify_audit_log(const fs::path& file) {
  FileDescriptor input(file, O_RDONLY);
  AuditSummary summary = nothing_yet();
  std::string rest;
  std::string piece(std::size_t{1} << 20, '\0');
  while (const std::size_t count = input.read(std::as_writable_bytes(std::span(piece)))) {
    rest.append(piece, 0, count);
    std::size_t begin = 0;
    for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      check_line(std::string_view(rest).substr(begin, end - begin), summary);
    }
    rest.erase(0, begin);
    // No line is so long: nothing further on will end it.
    if (rest.size() > kMaxLine) check_line(rest, summary);
  }
  summary.torn_bytes = rest.size();
  return summary;
}

AuditLog::AuditLog(const fs::path& file) : path_(file) {
  { const FileDescriptor created(file, O_WRONLY | O_CREAT); }
  summary_ = verify_audit_log(file);
  size_ = fs::file_size(file) - summary_.torn_bytes;
  reopen();
}

void AuditLog::append(const AuditEntry& entry) {
  const std::string hashed = hashed_part(entry, summary_);
  const std::string hash = hash_of(hashed);
  const std::string line = hashed + std::string(kBeforeHash) + hash + std::string(kEnd) + "\n";
  if (!file_) reopen();
  try {
    file_->write(std::as_bytes(std::span(line)));
  } catch (...) {
    file_.reset();
    throw;
  }
  size_ += line.size();
  ++summary_.entries;
  summary_.last_hash = hash;
}

void AuditLog::sync() {
  if (file_) file_->sync();
}

// Without what was half-written.
void AuditLog::reopen() {
  std::error_code error;
  fs::resize_file(path_, size_, error);
  if (error) throw std::system_error(error, "[audit] cannot write " + path_.string());
  file_ = std::make_unique<FileDescriptor>(path_, O_WRONLY | O_APPEND);
}

}  // namespace fedstill
