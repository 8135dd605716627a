#!/usr/bin/env python3
"""Every function that the module for CUDA graphs leaves open is in LibTorch's libraries of this version.

Usage: symbols_test.py MODULE LIBRARY_FOLDER; exit code 77: LibTorch's CUDA parts are not installed."""
import pathlib
import subprocess
import sys

CUDA = ["libtorch_cuda.so", "libc10_cuda.so"]


def symbols(library, which):
    lines = subprocess.run(["nm", "--dynamic", which, str(library)], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if line.split()[-2] not in "wv"}  # which may stay open


def main() -> int:
    module, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if not all((folder / name).exists() for name in CUDA):
        print("skipped: LibTorch's CUDA parts are not installed")
        return 77
    # Those of the compiler's and the system's libraries have versions.
    needed = {name for name in symbols(module, "--undefined-only") if "@" not in name}
    offered = set().union(*(symbols(folder / name, "--defined-only") for name in [*CUDA, "libtorch_cpu.so", "libc10.so"]))
    missing = sorted(needed - offered)
    print(f"{len(needed)} needed, {len(missing)} missing: {' '.join(missing)}")
    return 1 if missing or not any("CUDAGraph" in name for name in needed) else 0


if __name__ == "__main__":
    sys.exit(main())
