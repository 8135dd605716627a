#include "training/device.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "toy.h"
#include "training/device_graph.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string message_of(std::string_view name, const DeviceOptions& options) {
  try {
    open_device(name, options);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

constexpr const char* kStubDriver =
    FEDSTILL_BINARY_DIR "/tests/training/libfedstill_stub_cuda_driver.so";

// The library that this process has loaded anyway: it registers no device.
std::string cpu_library() {
  Dl_info found{};
  ::dladdr(reinterpret_cast<const void*>(&at::globalContext), &found);
  return found.dli_fname;
}

TEST(DeviceName, IsTheCpuOrOneCudaDevice) {
  EXPECT_FALSE(parse_device("cpu").cuda);
  EXPECT_TRUE(parse_device("cuda").cuda);
  EXPECT_EQ(parse_device("cuda").index, std::nullopt);
  EXPECT_EQ(parse_device("cuda:3").index, 3);
  for (const char* wrong : {"", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1 ", "cuda:64",
                            "cuda:99999999999999999999", "cpu:0"}) {
    EXPECT_THROW(parse_device(wrong), std::invalid_argument) << wrong;
  }
}

TEST(DeviceIndex, RanksOfAMachineTakeItsDevicesInTurn) {
  for (int rank = 0; rank < 7; ++rank) EXPECT_EQ(device_index({.cuda = true}, rank, 3), rank % 3);
  EXPECT_EQ(device_index({.cuda = true, .index = 2}, 1, 3), 2);
  EXPECT_THROW(device_index({.cuda = true, .index = 3}, 1, 3), DeviceError);
}

TEST(Device, TheCpuNeedsNothing) {
  EXPECT_EQ(open_device("cpu", {.local_rank = 5, .library = "nowhere.so"}), at::Device(at::kCPU));
  EXPECT_EQ(device_text(at::kCPU), "cpu");
  EXPECT_EQ(device_text(at::Device(at::kCUDA, 2)), "cuda:2");
}

TEST(Device, SaysWhichLibraryIsMissing) {
  EXPECT_THAT(message_of("cuda", {.library = "/nowhere/libtorch_cuda.so"}),
              HasSubstr("/nowhere/libtorch_cuda.so cannot be loaded"));
}

TEST(Device, SaysThatNoDeviceWasFound) {
  if (at::globalContext().hasCUDA()) GTEST_SKIP() << "a CUDA device is here";
  for (const char* name : {"cuda", "cuda:0", "cuda:5"}) {
    EXPECT_THAT(message_of(name, {.library = cpu_library()}), HasSubstr("found no CUDA device"));
  }
}

TEST(Device, ItsUuidIsAsTheDriverTells) {
  const std::string second = device_uuid(at::Device(at::kCUDA, 1), kStubDriver);
  EXPECT_EQ(second, "uuid of number 1");
  EXPECT_NE(device_uuid(at::Device(at::kCUDA, 0), kStubDriver), second);
}

TEST(Device, HasNoUuidThatNobodyTells) {
  EXPECT_EQ(device_uuid(at::Device(at::kCUDA, 2), kStubDriver), "");  // fails
  EXPECT_EQ(device_uuid(at::Device(at::kCUDA, 0), "libno_such_driver.so"), "");
  EXPECT_EQ(device_uuid(at::Device(at::kCUDA, 0), cpu_library()), "");
  EXPECT_EQ(device_uuid(at::kCPU, kStubDriver), "");
}

TEST(Device, ATensorThatIsThereIsItself) {
  const at::Tensor tensor = tests::random_tensor({3}, 1);
  EXPECT_TRUE(to_device(tensor, at::kCPU).is_same(tensor));
}

TEST(Device, AStreamOfTheCpuDoesNothing) {
  const DeviceStream outer(at::kCPU), inner(at::kCPU);
  EXPECT_EQ(tests::random_tensor({3}, 1).numel(), 3);
}

TEST(DeviceGraph, IsRefusedWhereNoDeviceIs) {
  if (at::globalContext().hasCUDA()) GTEST_SKIP() << "a CUDA device is here";
  EXPECT_THROW(make_device_graph(at::kCPU), DeviceError);
  try {
    make_device_graph(at::Device(at::kCUDA, 0));
    FAIL() << "a graph without a device";
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[device]"));
  }
}

}  // namespace
}  // namespace fedstill
