#!/usr/bin/env bash
# Training and inference throughput of fedstill beside bare PyTorch, taken in turns in one run, so that both see the same machine.
# Usage: compare_training.sh [--threads 1] [--rounds 5] [--build build/release]
# FEDSTILL_BENCH_PYTHON names a Python that imports torch. Prints medians; ratios above 1 are in fedstill's favour.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
threads=1 rounds=5 build="$here/../build/release"
while (($#)); do
  case $1 in
    --threads) threads=$2 ;;
    --rounds) rounds=$2 ;;
    --build) build=$2 ;;
    *) sed -n 2,4p "$0" >&2; exit 2 ;;
  esac
  shift 2
done
python=${FEDSTILL_BENCH_PYTHON:-python3}
export OMP_NUM_THREADS=$threads
results=$(mktemp); trap 'rm -f "$results"' EXIT
for ((i = 0; i < rounds; ++i)); do
  "$build/bench/fedstill_bench_training" --threads "$threads" --repetitions 1 | sed 's/^/fedstill /' >>"$results"
  "$python" "$here/pytorch_throughput.py" --threads "$threads" --repetitions 1 | sed 's/^/pytorch /' >>"$results"
  "$python" "$here/pytorch_throughput.py" --threads "$threads" --repetitions 1 --channels-last | sed 's/^/pytorch-nhwc /' >>"$results"
done
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $threads thread(s), medians of $rounds rounds taken in turns; images per CPU second (per second of wall time)"
"$python" - "$results" <<'PYTHON'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    who, case, wall, cpu = line.split()
    rows.setdefault(case, {}).setdefault(who, []).append((float(cpu), float(wall)))
median = lambda values, i: statistics.median(v[i] for v in values)
print(f"{'case':18}{'fedstill':>17}{'PyTorch':>17}{'PyTorch NHWC':>17}{'ratio':>8}{'to NHWC':>9}")
for case, by in rows.items():
    cells = [f"{median(by[w], 0):8.0f} ({median(by[w], 1):.0f})" for w in ("fedstill", "pytorch", "pytorch-nhwc")]
    ratios = [statistics.median(a[0] / b[0] for a, b in zip(by["fedstill"], by[w])) for w in ("pytorch", "pytorch-nhwc")]
    print(f"{case:18}{cells[0]:>17}{cells[1]:>17}{cells[2]:>17}{ratios[0]:8.2f}{ratios[1]:9.2f}")
PYTHON
