"""ResNet-152 in eager PyTorch, as torchvision's documentation classifies a picture. Every peer calls this same class.

RESNET_STATE is the path of the state dict (.safetensors), RESNET_LABELS of the labels. On a GPU when there is one.
"""

import io
import os
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image
from torchvision.models import ResNet152_Weights, resnet152

TOP = 3

Match = tuple[str, float]


class ResNet:
    """The model with its transforms and labels."""

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.transforms = ResNet152_Weights.DEFAULT.transforms()
        self.labels = Path(os.environ["RESNET_LABELS"]).read_text(encoding="utf-8").splitlines()
        self.model = resnet152(weights=None)
        self.model.load_state_dict(safetensors.torch.load_file(os.environ["RESNET_STATE"]))
        self.model.eval().to(self.device)

    def classify(self, picture: bytes) -> list[Match]:
        """Return the best labels of an encoded picture, best first, each with its probability (0 to 1)."""
        with Image.open(io.BytesIO(picture)) as image:
            batch = self.transforms(image.convert("RGB")).unsqueeze(0).to(self.device)
        with torch.inference_mode():
            best = self.model(batch).softmax(dim=1)[0].topk(TOP)
        return [
            (self.labels[index], probability)
            for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
