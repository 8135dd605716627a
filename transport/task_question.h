#pragma once

#include <string_view>

namespace fedstill {

// A capability: a client may ask, by StatusRequest{kTaskQuestion, ""} and before it joins, what its
// data must be like. The StatusReply's JSON: channels, height, width (of an image), classes.
inline constexpr std::string_view kTaskQuestion = "task";

}  // namespace fedstill
