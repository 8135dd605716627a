#!/usr/bin/env bash
# Every figure that docs/gpu.md lacks, on a machine with a GPU: the tests that need one, training and asking teachers beside PyTorch, one
# rank through NCCL, the default job on GPU and processor.
#   FEDSTILL_BENCH_PYTHON=python3 bench/gpu.sh [FOLDER]     FOLDER: what is printed, as JSON too (default: bench-gpu)
# The Python must import torch 2.11 with CUDA; without one PyTorch is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-bench-gpu}")
mkdir -p "$out"
. launch/bootstrap.sh
set_up cuda
build fedstill fedstill_cuda_tests fedstill_pipeline_tests
fedstill=$FEDSTILL_BUILD/launch/fedstill
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv | tee "$out/gpu.csv"

# What a GPU computes, NCCL on its memory, and the real program, alone and as two ranks under mpiexec (which share a GPU where there is one).
"$FEDSTILL_BUILD/tests/training/fedstill_cuda_tests" | tee "$out/tests.txt"
"$FEDSTILL_BUILD/tests/pipeline/fedstill_pipeline_tests" --gtest_filter='*OnAGpu:*OnGpus' | tee -a "$out/tests.txt"

for student in resnet8 resnet8-wide; do
  for batch in 128 1024; do
    for bf16 in "" --bf16; do
      # PyTorch's side knows resnet8 only.
      alone=; [ $student = resnet8 ] || alone=--alone
      # shellcheck disable=SC2086
      "$fedstill" bench distill --device cuda --student $student --batch $batch --images 61440 --repeats 5 $bf16 $alone --json --quiet > "$out/$student-$batch$bf16.json"
      python3 - "$out/$student-$batch$bf16.json" << 'PRINT'
import json, sys
found = json.load(open(sys.argv[1]))
print(f"\n{found['student']}, batch {found['batch']}{', bfloat16' if found['bf16'] else ''}, {found['machine']['device']}")
for row in found["measured"]:
    print(f"  {row['name']:28} {row['images_per_second']:12,.0f} images/s")
for what in found["missing"]:
    print("  left out:", what)
PRINT
    done
  done
done

for device in cuda cpu; do
  rm -rf "$out/job-$device"
  "$fedstill" simulate --device $device --run "$out/job-$device" --quiet --json > "$out/job-$device.json"
  python3 - "$out/job-$device.json" << 'PRINT'
import json, sys
report = json.load(open(sys.argv[1]))
stages = ", ".join(f"{name} {spent:.1f}" for name, spent in report["seconds"].items())
print(f"\nthe default job on {report['machine']['device']}: student {100 * report['student']['test_accuracy']:.2f} %; seconds: {stages}")
PRINT
done
