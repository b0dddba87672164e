"""ResNet-152 on KServe's Python server, asked in its v1 protocol with a base64 picture."""

import base64
from typing import Any

from kserve import Model, ModelServer
from resnet_model import ResNet


class ResNetModel(Model):
    """A custom predictor, as KServe's documentation has it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.model = ResNet()
        self.ready = True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Answer the best labels of each picture."""
        pictures = [base64.b64decode(instance["image"]["b64"]) for instance in payload["instances"]]
        return {"predictions": [self.model.classify(picture) for picture in pictures]}


if __name__ == "__main__":
    ModelServer().start([ResNetModel("resnet")])
