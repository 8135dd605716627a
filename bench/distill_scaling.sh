#!/usr/bin/env bash
# Distillation on one rank and on several, beside PyTorch's DistributedDataParallel (gloo), taken in turns in one run; medians.
# Usage: distill_scaling.sh [--ranks 2] [--rounds 3] [--student resnet8] [--build build/release]
# FEDSTILL_BENCH_PYTHON names a Python that imports torch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ranks=2 rounds=3 student=resnet8 build="$here/../build/release"
while (($#)); do
  case $1 in
    --ranks) ranks=$2 ;;
    --rounds) rounds=$2 ;;
    --student) student=$2 ;;
    --build) build=$2 ;;
    *) sed -n 2,4p "$0" >&2; exit 2 ;;
  esac
  shift 2
done
python=${FEDSTILL_BENCH_PYTHON:-python3}
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
bench="$build/bench/fedstill_bench_distill"
mpi() { mpirun -np "$ranks" --oversubscribe --bind-to none "$bench" --mpi "$@"; }
results=$(mktemp); trap 'rm -f "$results"' EXIT
for ((i = 0; i < rounds; ++i)); do
  {
    "$bench" --student "$student"
    # What the machine gives: as many jobs of one rank with their part of the batch, at once, that know nothing of each other.
    for ((r = 0; r < ranks; ++r)); do "$bench" --student "$student" --batch $((128 / ranks)) & done |
      awk -v ranks="$ranks" '{sum += $4} END {print "apart", ranks, "-", sum}'
    "$bench" --student "$student" --ranks "$ranks"
    "$bench" --student "$student" --ranks "$ranks" --after
    mpi --student "$student"
    mpi --student "$student" --after
    "$python" "$here/pytorch_ddp.py" --student "$student"
    "$python" "$here/pytorch_ddp.py" --student "$student" --ranks "$ranks"
  } >>"$results"
done
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $student, batch 128 over all ranks, one thread a rank, medians of $rounds rounds; images/s, times one rank, of apart"
"$python" - "$results" <<'PYTHON'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    backend, ranks, way, speed = line.split()
    rows.setdefault((backend, int(ranks), way), []).append(float(speed))
median = {key: statistics.median(values) for key, values in rows.items()}
base = {"ddp": median[("ddp", 1, "overlap")]}
for (backend, ranks, way), speed in median.items():
    alone = base.get(backend, median[("local", 1, "overlap")])
    apart = next(value for (kind, _, _), value in median.items() if kind == "apart")
    print(f"{backend:8}{ranks:3} ranks  {way:8}{speed:9.0f}{speed / alone:7.2f} x{speed / apart:7.2f} x")
PYTHON
