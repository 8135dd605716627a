#!/usr/bin/env python3
"""A job whose rank 1 dies, throws or falls silent ends quickly on all ranks and says why.

Usage: mpi_failure_test.py PROGRAM MPIEXEC [ARGUMENTS...]"""
import subprocess
import sys
import time

SECONDS = 30  # a job that waits for the deadline of its collectives would need 600


def run(program, mpiexec, fate):
    started = time.monotonic()
    done = subprocess.run([*mpiexec, "-n", "3", program, fate], capture_output=True, text=True, timeout=2 * SECONDS)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - started


def main() -> int:
    program, mpiexec = sys.argv[1], sys.argv[2:]
    status = 0
    for fate, expected in [
        ("none", ""),
        ("killed", "signal 9"),
        ("throws", "rank 1 has had enough"),
        ("silent", "saw no progress for 500 ms"),
    ]:
        code, text, seconds = run(program, mpiexec, fate)
        good = (code == 0) == (fate == "none") and expected in text and seconds < SECONDS
        print(f"{'ok' if good else 'FAILED'}: {fate}: exit {code} after {seconds:.1f} s" + ("" if good else f"\n{text}"))
        status |= not good
    return status


if __name__ == "__main__":
    sys.exit(main())
