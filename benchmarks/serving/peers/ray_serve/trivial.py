"""The trivial model as a Ray Serve deployment with one replica. The port is the first argument."""

import sys

from ray import serve
from starlette.requests import Request
from trivial_model import Trivial


@serve.deployment(num_replicas=1)
class Server:
    """An HTTP deployment, as Ray Serve's documentation has it."""

    def __init__(self) -> None:
        self.model = Trivial()

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        """Answer {"result": [sums]} to {"input": [rows]}."""
        body = await request.json()
        return {"result": self.model.sum_rows(body["input"])}


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Server.bind(), blocking=True)
