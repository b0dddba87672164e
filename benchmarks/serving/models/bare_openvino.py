"""OpenVINO with its defaults, but in fp32 as the others unless told, one request at a time: `bare_openvino.py MODEL THREADS [bfloat16]`."""

import sys

import openvino
from bare_engine import draw_batch, serve_standard_input

path, threads, *precision = sys.argv[1:]
properties = {
    "INFERENCE_NUM_THREADS": int(threads),
    "INFERENCE_PRECISION_HINT": "bf16" if precision == ["bfloat16"] else "f32",
    "PERFORMANCE_HINT": "LATENCY",
}
model = openvino.Core().compile_model(path, "CPU", properties)
batch = draw_batch()

serve_standard_input(lambda: model(batch))
