"""ResNet-152 behind Flask, with the reference's request and answer."""

import base64

from flask import Flask, request
from resnet_model import Match, ResNet

app = Flask(__name__)
model = ResNet()


@app.get("/")
def healthy() -> str:
    """Answer probes."""
    return "Healthy"


@app.post("/score")
def score() -> dict[str, list[dict[str, list[Match]]]]:
    """Answer {"result": [{name: matches}]} to {"input": {name: base64}}."""
    pictures = request.json["input"]
    return {"result": [{name: model.classify(base64.b64decode(text)) for name, text in pictures.items()}]}
