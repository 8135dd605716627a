"""Checks ONNX files with the standard's own checker, shape inference included.

usage: check_onnx.py MODEL.onnx...
"""
import sys

import onnx


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8, f"IR {model.ir_version}, expected 8"
    opsets = [(opset.domain, opset.version) for opset in model.opset_import]
    assert opsets == [("", 17)], f"opsets {opsets}, expected 17"
    image = model.graph.input[0]
    assert [value.name for value in model.graph.input] == ["images"], "the only input is 'images'"
    assert image.type.tensor_type.shape.dim[0].dim_param == "N", "the batch dimension is 'N'"


for path in sys.argv[1:]:
    check(path)
