#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "transport/tls/wire.h"

namespace fedstill {

// send(2) and recv(2) on a non-blocking socket: never a signal, never an interruption. An errno
// becomes a WireError.
Progress send_some(int socket, const std::array<std::span<const std::byte>, 2>& pieces);
Progress receive_some(int socket, std::span<std::byte> out);

// Throws away some of what has arrived; true once the peer has closed or is gone.
bool discard_input(int socket) noexcept;

// Non-blocking, no delay for small frames, and a peer that vanished is noticed by the kernel.
void prepare_socket(int socket);

[[noreturn]] void throw_wire_error(const char* verb, int error);

}  // namespace fedstill
