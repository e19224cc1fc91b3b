"""ONNX Runtime fuses (1 / x) * y to y / x for integers too, where 1 / x is 0: it prints 3333, and unoptimized 0."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

nodes = [helper.make_node("Div", ["one", "x"], ["q"]), helper.make_node("Mul", ["q", "y"], ["z"])]
values = [helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in "xyz"]
one = numpy_helper.from_array(np.array([1], np.int64), "one")
graph = helper.make_graph(nodes, "g", values[:2], values[2:], [one])
model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model, options)
    print(level, session.run(None, {"x": np.array([3], np.int64), "y": np.array([9999], np.int64)})[0])  # noqa: T201
