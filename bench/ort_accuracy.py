#!/usr/bin/env python3
"""Holds the bundle of a run against ONNX Runtime on the test images of Fashion-MNIST: accuracy, agreement with the integer interpreter, float operators left, time per image.

Usage: PYTHONPATH=.deps/oracles bench/ort_accuracy.py FEDSTILL RUN"""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import zipfile

try:
    import numpy as np
    import onnxruntime as ort
except ImportError as error:
    sys.exit(f"{error}; ./check puts NumPy and ONNX Runtime into .deps/oracles: PYTHONPATH=.deps/oracles {sys.argv[0]}")

DATA = "/usr/share/datasets/fashion-mnist/t10k-"


def session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def milliseconds(runner: ort.InferenceSession, image: np.ndarray) -> float:
    def once():
        start = time.perf_counter()
        for _ in range(200):
            runner.run(None, {"images": image})
        return (time.perf_counter() - start) * 5
    return sorted(once() for _ in range(5))[2]


def main() -> int:
    fedstill, run = sys.argv[1], pathlib.Path(sys.argv[2])
    with zipfile.ZipFile(run / "bundle.fsb") as bundle:
        manifest, model = json.loads(bundle.read("manifest.json")), bundle.read("model.onnx")
    images = np.frombuffer(gzip.open(DATA + "images-idx3-ubyte.gz").read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(gzip.open(DATA + "labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    scale = manifest.get("normalisation", manifest)
    x = ((images.astype(np.float32) / 255 - np.float32(scale["mean"][0])) / np.float32(scale["deviation"][0])).astype(np.float32)
    integer, floating = session(model), session((run / "student.onnx").read_bytes())
    top = np.concatenate([integer.run(None, {"images": b})[0].argmax(1) for b in np.array_split(x, 20)])
    top_float = np.concatenate([floating.run(None, {"images": b})[0].argmax(1) for b in np.array_split(x, 20)])
    answer = json.loads(subprocess.run([fedstill, "predict", run / "bundle.fsb", DATA + "images-idx3-ubyte.gz", "--json"], check=True, capture_output=True).stdout)
    ours = np.array([image["class"] for image in answer["images"]])
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model)
        file.flush()
        left = subprocess.run([sys.executable, pathlib.Path(__file__).resolve().parent.parent / "tests/oracle/float_convs.py", file.name], check=True, capture_output=True, text=True).stdout.strip()
    print(f"ONNX Runtime {ort.__version__}: int8 {100 * (top == labels).mean():.2f} %, float {100 * (top_float == labels).mean():.2f} %, interpreter {100 * (ours == labels).mean():.2f} %, "
          f"same top class as the interpreter {100 * (top == ours).mean():.2f} %; float Conv/Gemm but the last: {left}; "
          f"one image, one thread: float {milliseconds(floating, x[:1]):.3f} ms, int8 {milliseconds(integer, x[:1]):.3f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
