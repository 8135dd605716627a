// The names of the CUDA runtime that collective/nccl/api.h lists, so that loading comes to NCCL
// where no CUDA is. Every call fails.
extern "C" {

const char* cudaGetErrorString(int) { return "a stub"; }
int cudaGetDeviceCount() { return 1; }
int cudaSetDevice() { return 1; }
int cudaMalloc() { return 1; }
int cudaFree() { return 1; }
int cudaStreamCreateWithFlags() { return 1; }
int cudaStreamDestroy() { return 1; }
int cudaStreamWaitEvent() { return 1; }
int cudaEventCreateWithFlags() { return 1; }
int cudaEventDestroy() { return 1; }
int cudaEventRecord() { return 1; }
int cudaEventQuery() { return 1; }
}
