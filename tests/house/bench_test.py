#!/usr/bin/env python3
"""A script of bench/ that lacks a package says where to get it; a program of bench/ says what it takes. Usage: bench_test.py ROOT PROGRAMS"""
import pathlib
import subprocess
import sys

bench = pathlib.Path(sys.argv[1]) / "bench"
failed = tried = 0
for script in sorted(bench.glob("*.py")):
    text = script.read_text()
    if "import numpy" not in text or script.name == "bare_fedavg.py":  # this one is run by fedstill, which says it
        continue
    tried += 1
    # Without site-packages and PYTHONPATH no package is there.
    told = subprocess.run([sys.executable, "-S", "-E", str(script), "--help"], capture_output=True, text=True, check=False)
    if told.returncode == 0 or "Traceback" in told.stderr or "PYTHONPATH=.deps/oracles" not in told.stderr:
        print(f"{script.name}: exit code {told.returncode}: {told.stderr}")
        failed += 1
if tried == 0:
    print("no script of bench/ imports numpy")
for program in sorted(pathlib.Path(sys.argv[2]).glob("fedstill_bench_*")):
    for word in ("--help", "--helb"):
        told = subprocess.run([program, word], capture_output=True, text=True, check=False)
        if (told.returncode == 0) != (word == "--help") or "--help" not in told.stdout + told.stderr:
            print(f"{program.name} {word}: exit code {told.returncode}: {told.stderr}")
            failed += 1
sys.exit(1 if failed or tried == 0 else 0)
