"""ResNet-152 as a LitAPI. The port is the first argument."""

import base64
import sys

from litserve import LitAPI, LitServer
from resnet_model import Match, ResNet


class ResNetAPI(LitAPI):
    """Decode, predict, encode, as LitServe's documentation has it."""

    def setup(self, device: str) -> None:
        """Load the model in its worker process."""
        self.model = ResNet()

    def decode_request(self, request: dict[str, str]) -> bytes:
        """Return the picture."""
        return base64.b64decode(request["image_data"])

    def predict(self, picture: bytes) -> list[Match]:
        """Return the best labels."""
        return self.model.classify(picture)

    def encode_response(self, output: list[Match]) -> dict[str, list[Match]]:
        """Return the answer."""
        return {"output": output}


if __name__ == "__main__":
    server = LitServer(ResNetAPI(), accelerator="auto", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
