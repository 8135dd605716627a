"""Runs an ONNX file in ONNX Runtime on raw float32 images and writes a raw float32 output.

usage: ort_run.py MODEL.onnx IMAGES.f32 N C H W OUT.f32 [OUTPUT_NAME] [--plain]
       ort_run.py --jobs JOBS.txt    # each line holds the arguments of one run

The first output is written unless another is named. --plain switches graph optimisation off. The
image shape may have any number of dimensions: "N F" for vectors.
"""
import sys

import numpy as np
import onnxruntime as ort


def session_of(model, is_plain):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if is_plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(arguments):
    is_plain = "--plain" in arguments
    model, images, *rest = [argument for argument in arguments if argument != "--plain"]
    sizes = [int(text) for text in rest if text.isdigit()]
    out, *name = [text for text in rest if not text.isdigit()]
    session = session_of(model, is_plain)
    batch = np.fromfile(images, dtype="<f4").reshape(sizes)
    name = name or [session.get_outputs()[0].name]
    session.run(name, {"images": batch})[0].astype("<f4").tofile(out)


if sys.argv[1] == "--jobs":
    with open(sys.argv[2], encoding="utf-8") as jobs:
        for line in jobs:
            run(line.split())
else:
    run(sys.argv[1:])
