#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "data/images.h"
#include "transport/channel.h"

namespace fedstill {

// What a coordinator's job asks of a site's data, told before the site joins
// (transport/task_question.h).
struct TaskAhead {
  ImageShape image;
  std::int64_t classes = 0;
};

std::string task_text(const TaskAhead& task);  // what the coordinator answers, in JSON

std::vector<std::string> task_capabilities();  // to say Hello with
bool tells_task(const Welcome& welcome);

// Requires: greeted so. Throws ChannelClosed, DecodeError for an answer that is none.
TaskAhead ask_task(Channel& channel, std::chrono::milliseconds patience = std::chrono::seconds(10));

// Throws DataError where a site's images are of another size, or of more classes.
void check_fits(const Dataset& data, const TaskAhead& task);

std::string to_text(const ImageShape& image);  // "1 × 28 × 28"
std::string to_text(const TaskAhead& task);    // "images of 1 × 28 × 28, 10 classes"

}  // namespace fedstill
