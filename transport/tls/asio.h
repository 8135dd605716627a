#pragma once

// The parts of Asio that the server is built from. Bodies are compiled once, in asio.cpp.
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>

namespace fedstill {

using IoContext = boost::asio::io_context;
using Strand = boost::asio::strand<IoContext::executor_type>;
using Tcp = boost::asio::ip::tcp;
// Completion handlers run on the object's strand unless they say otherwise.
using StrandSocket = boost::asio::basic_stream_socket<Tcp, Strand>;
using StrandTimer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>, Strand>;

}  // namespace fedstill
