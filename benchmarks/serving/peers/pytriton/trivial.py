"""The trivial model on Triton by pytriton, with its dynamic batching. The HTTP, gRPC and metrics ports are the arguments."""

import os
import sys
import sysconfig

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from trivial_model import Trivial

model = Trivial()


@batch
def infer(x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the sums, one row of answers per row."""
    return {"y": model.score({"x": x})["y"][:, np.newaxis]}


if __name__ == "__main__":
    # Triton's Python backend takes the first libpython that it finds: let it be this interpreter's own.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    http, grpc, metrics = map(int, sys.argv[1:])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=http, grpc_address="127.0.0.1", grpc_port=grpc, metrics_port=metrics
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="trivial",
            infer_func=infer,
            inputs=[Tensor(name="x", dtype=np.float64, shape=(4,))],
            outputs=[Tensor(name="y", dtype=np.float64, shape=(1,))],
            config=ModelConfig(max_batch_size=64),
        )
        triton.serve()
