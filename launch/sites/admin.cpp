#include "launch/sites/admin.h"

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "launch/input.h"
#include "launch/outside_text.h"
#include "launch/sites/administration.h"
#include "launch/sites/identity_folder.h"
#include "launch/sites/membership.h"
#include "launch/sites/proxy.h"
#include "model/decode_error.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kPatience{10'000}, kWatchEvery{1'000};

Frame next_frame(Channel& channel) {
  auto frame = channel.receive(kPatience);
  if (!frame) throw ChannelClosed("[admin] the coordinator does not answer");
  if (const auto* no = std::get_if<Acknowledgement>(&frame->message)) {
    if (!no->accepted) throw RefusedError("[admin] refused: " + no->reason);
  }
  return std::move(*frame);
}

DialOptions options_of(const AdminCommand& command) {
  require_file_if_given(command.revoked);
  DialOptions options;
  options.revoked = command.revoked;
  go_through_proxy(options, command.proxy);
  return options;
}

// A conversation with the coordinator, greeted and ready for questions.
class Conversation {
 public:
  explicit Conversation(const AdminCommand& command)
      : channel_(dial(parse_endpoint(command.coordinator), credentials_of(command.identity),
                      options_of(command))) {
    try {
      channel_->send({Hello{1, kProtocolVersion, "fedstill admin", {}}, {}});
    } catch (const ChannelClosed&) {  // receive() tells why
    }
    if (!std::holds_alternative<Welcome>(next_frame(*channel_).message)) {
      throw DecodeError("[admin] expected a Welcome");
    }
  }

  json ask(const std::string& what, const std::string& argument) {
    channel_->send({StatusRequest{what, argument}, {}});
    for (;;) {
      const Frame frame = next_frame(*channel_);
      if (!std::holds_alternative<StatusReply>(frame.message)) continue;  // a sign of life
      const std::string_view text(reinterpret_cast<const char*>(frame.body.data()),
                                  frame.body.size());
      json reply = parse_outside_json(text, "admin");
      if (!reply.is_object()) throw DecodeError("[admin] the reply is not JSON");
      return reply;
    }
  }

 private:
  std::unique_ptr<NetworkChannel> channel_;
};

}  // namespace

json ask_coordinator(const AdminCommand& command) {
  return Conversation(command).ask(command.what, command.argument);
}

void watch_coordinator(const AdminCommand& command, const std::atomic<bool>& stop) {
  Conversation conversation(command);
  while (!stop.load()) {
    const json status = conversation.ask(command.what, command.argument);
    const char* const clear = ::isatty(STDOUT_FILENO) == 1 ? "\033[H\033[J" : "";
    std::cout << (command.json ? status.dump() + "\n" : clear + answer_text(command.what, status))
              << std::flush;
    for (milliseconds slept{0}; slept < kWatchEvery && !stop.load(); slept += milliseconds(50)) {
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
}

}  // namespace fedstill
