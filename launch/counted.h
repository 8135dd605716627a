#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fedstill {

// "1 client", "3 clients", "1,024 classes": many is what is counted, where it is not one and an s.
std::string counted(std::int64_t number, std::string_view one, std::string_view many = {});

}  // namespace fedstill
