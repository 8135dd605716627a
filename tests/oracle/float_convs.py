"""Counts the Conv and Gemm nodes that ONNX Runtime executes in float after its optimisation.

usage: float_convs.py MODEL.onnx...

Prints one line a model: the number of float Conv, FusedConv, Gemm and FusedGemm nodes other than
the one whose output is the logits; then how often each operator is left, as "name=count".
"""
import collections
import os
import sys
import tempfile

import onnx
import onnxruntime as ort


def optimised_nodes(path):
    with tempfile.TemporaryDirectory() as folder:
        optimised = os.path.join(folder, "optimised.onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = optimised
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return onnx.load(optimised).graph.node


for path in sys.argv[1:]:
    nodes = optimised_nodes(path)
    kinds = ("Conv", "FusedConv", "Gemm", "FusedGemm")
    floats = [node for node in nodes if node.op_type in kinds and "logits" not in node.output]
    counts = collections.Counter(node.op_type for node in nodes)
    print(len(floats), *(f"{op}={counts[op]}" for op in sorted(counts)))
