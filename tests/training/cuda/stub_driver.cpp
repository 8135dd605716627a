// What training/device.cpp asks of CUDA's driver: of two devices, where none is.
#include <cstring>

extern "C" {

int cuDeviceGet(int* device, int ordinal) {
  *device = 100 + ordinal;
  return ordinal < 2 ? 0 : 101;  // CUDA_ERROR_INVALID_DEVICE
}

int cuDeviceGetUuid_v2(char* uuid, int device) {
  std::memcpy(uuid, device == 100 ? "uuid of number 0" : "uuid of number 1", 16);
  return 0;
}
}
