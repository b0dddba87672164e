"""ResNet-152 as a BentoML service: a picture as multipart/form-data."""

from pathlib import Path

import bentoml
from resnet_model import Match, ResNet


@bentoml.service(workers=1)
class Service:
    """One API, as BentoML's documentation has it."""

    def __init__(self) -> None:
        self.model = ResNet()

    @bentoml.api
    def classify(self, image: Path) -> list[Match]:
        """Answer the best labels of the file `image`."""
        return self.model.classify(image.read_bytes())
