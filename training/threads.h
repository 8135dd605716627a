#pragma once

namespace fedstill {

// Threads that tensor operations started by the calling thread use. OpenMP keeps this per thread:
// a worker calls it first thing, or several workers together ask for far more than the machine has.
// Requires: count > 0.
void set_thread_count(int count);

// Keeps memory of freed activations in the process instead of returning it to the system and
// faulting it in again at every step. Once, at the start of main; no effect outside glibc.
void tune_allocator();

}  // namespace fedstill
