#pragma once

#include <string>

namespace fedstill {

// What a certificate lets its owner do: the subject's OU. Persisted in certificates; never renamed.
inline constexpr const char* kRoles[] = {"coordinator", "client", "admin"};

// Throws std::invalid_argument unless the name can be a participant's ([a-zA-Z0-9._-]{1,64}, not
// beginning with a dot) and the role is one of coordinator, client and admin.
void check_identity(const std::string& name, const std::string& role);

}  // namespace fedstill
