"""ResNet-152 on Triton by pytriton: encoded pictures as BYTES. The HTTP, gRPC and metrics ports are the arguments."""

import base64
import os
import sys
import sysconfig
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from resnet_model import ResNet

model = ResNet()


@batch
def infer(image: NDArray[np.bytes_]) -> dict[str, NDArray[Any]]:
    """Return labels and probabilities of each base64 picture."""
    matches = [model.classify(base64.b64decode(picture)) for picture in image[:, 0]]
    return {
        "labels": np.array([[label.encode() for label, _ in each] for each in matches]),
        "probabilities": np.array([[probability for _, probability in each] for each in matches]),
    }


if __name__ == "__main__":
    # Triton's Python backend takes the first libpython that it finds: let it be this interpreter's own.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    http, grpc, metrics = map(int, sys.argv[1:])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=http, grpc_address="127.0.0.1", grpc_port=grpc, metrics_port=metrics
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="resnet",
            infer_func=infer,
            inputs=[Tensor(name="image", dtype=np.bytes_, shape=(1,))],
            outputs=[
                Tensor(name="labels", dtype=np.bytes_, shape=(3,)),
                Tensor(name="probabilities", dtype=np.float64, shape=(3,)),
            ],
            config=ModelConfig(max_batch_size=8),
        )
        triton.serve()
