"""ResNet-152 behind FastAPI: a picture as the body, scored on FastAPI's thread pool."""

from typing import Annotated

from fastapi import Body, FastAPI
from resnet_model import Match, ResNet

app = FastAPI()
model = ResNet()


@app.get("/")
async def healthy() -> str:
    """Answer probes."""
    return "Healthy"


@app.post("/score")
def score(picture: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, list[Match]]:
    """Answer {"result": matches} to an encoded picture."""
    return {"result": model.classify(picture)}
