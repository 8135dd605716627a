#include "launch/sites/task_ahead.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "data/data_error.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "model/decode_error.h"
#include "transport/task_question.h"

namespace fedstill {
namespace {

using nlohmann::json;

TaskAhead decode_task(std::string_view text) {
  const json found = parse_outside_json(text, "the coordinator's task");
  try {
    const auto number = [&](const char* key) { return found.at(key).get<std::int64_t>(); };
    return {{number("channels"), number("height"), number("width")}, number("classes")};
  } catch (const json::exception& error) {
    throw DecodeError("[task] what the coordinator asks for " + complaint_of(error));
  }
}

}  // namespace

std::string task_text(const TaskAhead& task) {
  return json{{"channels", task.image.channels},
              {"height", task.image.height},
              {"width", task.image.width},
              {"classes", task.classes}}
      .dump();
}

std::vector<std::string> task_capabilities() { return {std::string(kTaskQuestion)}; }

bool tells_task(const Welcome& welcome) {
  return std::ranges::find(welcome.capabilities, kTaskQuestion) != welcome.capabilities.end();
}

TaskAhead ask_task(Channel& channel, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  channel.send({StatusRequest{std::string(kTaskQuestion), ""}, {}});
  for (const auto end = Clock::now() + patience;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    const auto frame = channel.receive(std::max(left, std::chrono::milliseconds{0}));
    if (!frame) throw ChannelClosed("[task] the coordinator does not answer");
    if (const auto* no = std::get_if<Acknowledgement>(&frame->message)) {
      throw ChannelClosed("[task] " + no->reason);
    }
    if (!std::holds_alternative<StatusReply>(frame->message)) continue;  // a sign of life
    return decode_task({reinterpret_cast<const char*>(frame->body.data()), frame->body.size()});
  }
}

void check_fits(const Dataset& data, const TaskAhead& task) {
  if (data.images->shape != task.image) {
    throw DataError("[preflight] the images are " + to_text(data.images->shape) +
                    ", the coordinator asks for " + to_text(task.image));
  }
  if (data.classes() > task.classes) {
    throw DataError("[preflight] there are labels up to " + std::to_string(data.classes() - 1) +
                    ", the coordinator asks for " + std::to_string(task.classes) + " classes");
  }
}

std::string to_text(const ImageShape& image) {
  return std::to_string(image.channels) + " × " + std::to_string(image.height) + " × " +
         std::to_string(image.width);
}

std::string to_text(const TaskAhead& task) {
  return "images of " + to_text(task.image) + ", " + std::to_string(task.classes) + " classes";
}

}  // namespace fedstill
