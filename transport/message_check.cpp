#include <initializer_list>
#include <set>

#include "transport/free_text.h"
#include "transport/message.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxShortText = 64;
constexpr std::size_t kMaxReason = 1024;
constexpr std::size_t kMaxSettings = std::size_t{32} << 10;
constexpr std::size_t kMaxCapabilities = 16;
constexpr std::int64_t kMaxClasses = 1'000'000;
constexpr std::uint32_t kMaxHeartbeatSeconds = 86'400;

std::string range_problem(const std::string& field, const std::string& found,
                          const std::string& expected) {
  return field + ": found " + found + ", expected " + expected;
}

// The checks of one field each: its problem, or nothing.
std::string check_name(const std::string& field, std::string_view found) {
  if (is_name(found)) return {};
  return range_problem(field, "'" + to_free_text(found, kMaxShortText) + "'",
                       "1 to 64 of a-z A-Z 0-9 . _ -, not beginning with a dot");
}
std::string check_hash(const std::string& field, std::string_view found) {
  if (is_sha256(found)) return {};
  return range_problem(field, "'" + to_free_text(found, kMaxShortText) + "'",
                       "64 lower-case hex digits");
}
std::string check_text(const std::string& field, std::string_view found, std::size_t max_bytes) {
  if (is_free_text(found, max_bytes)) return {};
  return field + ": expected printable UTF-8 of at most " + std::to_string(max_bytes) + " bytes";
}
std::string check_count(std::int64_t found) {
  if (found >= 0) return {};
  return range_problem("sample_count", std::to_string(found), "0 or more");
}
std::string check_bytes(const std::string& field, std::uint64_t found, std::uint64_t least) {
  if (found >= least && found <= kMaxBlobBytes) return {};
  return range_problem(field, std::to_string(found),
                       std::to_string(least) + " to " + std::to_string(kMaxBlobBytes));
}
std::string check_capabilities(const std::vector<std::string>& found) {
  if (found.size() > kMaxCapabilities) {
    return range_problem("capabilities", std::to_string(found.size()),
                         "at most " + std::to_string(kMaxCapabilities));
  }
  for (const std::string& capability : found) {
    if (std::string problem = check_name("capabilities", capability); !problem.empty()) {
      return problem;
    }
  }
  if (std::set(found.begin(), found.end()).size() == found.size()) return {};
  return "capabilities: expected each but once";
}
std::string check_mode(Participation found) {
  if (found == Participation::kModel || found == Participation::kPredictions) return {};
  return range_problem("mode", std::to_string(static_cast<unsigned>(found)), "1 or 2");
}

std::string first_of(std::initializer_list<std::string> problems) {
  for (const std::string& problem : problems) {
    if (!problem.empty()) return problem;
  }
  return {};
}

struct Finder {
  std::string operator()(const Join& join) const {
    return first_of({check_name("client", join.client),
                     check_text("architecture", join.architecture, kMaxShortText),
                     check_count(join.sample_count), check_mode(join.mode)});
  }
  std::string operator()(const RoundPlan& plan) const {
    if (plan.classes < 1 || plan.classes > kMaxClasses) {
      return range_problem("classes", std::to_string(plan.classes),
                           "1 to " + std::to_string(kMaxClasses));
    }
    if (!is_text_of_lines(plan.settings, kMaxSettings)) {
      return "settings: expected lines of printable UTF-8, at most " +
             std::to_string(kMaxSettings) + " bytes";
    }
    const bool has_student = !plan.student.empty();
    return first_of({check_hash("job", plan.job), check_hash("pool_hash", plan.pool_hash),
                     check_bytes("pool_bytes", plan.pool_bytes, 0),
                     has_student ? check_hash("student", plan.student) : "",
                     has_student == (plan.student_bytes > 0)
                         ? check_bytes("student_bytes", plan.student_bytes, 0)
                         : "student_bytes: expected exactly where there is a student"});
  }
  std::string operator()(const Upload& upload) const { return check_claim(upload); }
  std::string operator()(const Predictions& predictions) const { return check_claim(predictions); }
  std::string operator()(const Acknowledgement& acknowledgement) const {
    const bool is_known = acknowledgement.refusal <= Refusal::kTryLater;
    if (!is_known || (acknowledgement.accepted && acknowledgement.refusal != Refusal::kFinal)) {
      return range_problem("refusal",
                           std::to_string(static_cast<unsigned>(acknowledgement.refusal)),
                           acknowledgement.accepted ? "0" : "0 to 2");
    }
    const std::string& hash = acknowledgement.sha256;
    return first_of({hash.empty() ? "" : check_hash("sha256", hash),
                     check_text("reason", acknowledgement.reason, kMaxReason)});
  }
  std::string operator()(const Bundle& bundle) const {
    return first_of({check_hash("sha256", bundle.sha256), check_bytes("bytes", bundle.bytes, 1)});
  }
  std::string operator()(const Hello& hello) const {
    if (hello.oldest_version < 1 || hello.oldest_version > hello.newest_version) {
      return range_problem(
          "versions",
          std::to_string(hello.oldest_version) + " to " + std::to_string(hello.newest_version),
          "a range from 1 up");
    }
    return first_of({check_text("software", hello.software, kMaxShortText),
                     check_capabilities(hello.capabilities)});
  }
  std::string operator()(const Welcome& welcome) const {
    if (welcome.version < 1) return range_problem("version", "0", "1 or more");
    const std::uint32_t seconds = welcome.heartbeat_seconds;
    if (seconds < 1 || seconds > kMaxHeartbeatSeconds) {
      return range_problem("heartbeat_seconds", std::to_string(seconds),
                           "1 to " + std::to_string(kMaxHeartbeatSeconds));
    }
    if (welcome.unix_time < 0) {
      return range_problem("unix_time", std::to_string(welcome.unix_time), "0 or more");
    }
    return first_of({check_text("software", welcome.software, kMaxShortText),
                     check_capabilities(welcome.capabilities)});
  }
  std::string operator()(const BlobOffer& offer) const {
    return first_of({check_hash("sha256", offer.sha256), check_bytes("bytes", offer.bytes, 1),
                     check_name("purpose", offer.purpose)});
  }
  std::string operator()(const BlobRequest& request) const { return check_place(request); }
  std::string operator()(const BlobChunk& chunk) const { return check_place(chunk); }
  std::string operator()(const BlobProgress& progress) const { return check_place(progress); }
  std::string operator()(const Heartbeat& heartbeat) const {
    return heartbeat.phase.empty() ? "" : check_name("phase", heartbeat.phase);
  }
  std::string operator()(const StatusRequest& request) const {
    return first_of({check_name("what", request.what),
                     check_text("argument", request.argument, kMaxShortText)});
  }
  std::string operator()(const StatusReply&) const { return {}; }
  std::string operator()(const Leave& leave) const {
    return check_text("reason", leave.reason, kMaxReason);
  }

 private:
  template <typename Claim>
  static std::string check_claim(const Claim& claim) {
    return first_of({check_name("client", claim.client), check_hash("sha256", claim.sha256),
                     check_count(claim.sample_count)});
  }
  template <typename Place>
  static std::string check_place(const Place& place) {
    return first_of({check_hash("sha256", place.sha256), check_bytes("offset", place.offset, 0)});
  }
};

}  // namespace

std::string find_problem(const Message& message) { return std::visit(Finder{}, message); }

}  // namespace fedstill
