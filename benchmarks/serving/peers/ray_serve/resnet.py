"""ResNet-152 as a Ray Serve deployment with one replica: a picture as the body. The port is the first argument."""

import sys

import torch
from ray import serve
from resnet_model import Match, ResNet
from starlette.requests import Request


@serve.deployment(num_replicas=1, ray_actor_options={"num_gpus": torch.cuda.device_count()})
class Server:
    """An HTTP deployment, as Ray Serve's documentation has it."""

    def __init__(self) -> None:
        self.model = ResNet()

    async def __call__(self, request: Request) -> dict[str, list[Match]]:
        """Answer {"result": matches} to an encoded picture."""
        return {"result": self.model.classify(await request.body())}


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Server.bind(), blocking=True)
