"""ONNX Runtime with its defaults: `bare_onnxruntime.py MODEL THREADS`."""

import sys

import onnxruntime
from bare_engine import draw_batch, serve_standard_input

path, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: draw_batch()}

serve_standard_input(lambda: session.run(None, feed))
