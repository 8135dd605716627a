"""Reads safetensors files with the reference library and prints what it found.

usage: read_safetensors.py FILE...

Prints one line a tensor, sorted by name: name, type, shape, sum of the values; then the version.
"""
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

for path in sys.argv[1:]:
    tensors = load_file(path)
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = "x".join(str(size) for size in tensor.shape)
        print(name, tensor.dtype, shape, f"{np.sum(tensor, dtype=np.float64):.6f}")
    with safe_open(path, framework="numpy") as file:
        print("version", file.metadata()["fedstill.version"])
