"""The trivial model behind FastAPI: the floor, a web framework without any serving features."""

from fastapi import FastAPI
from pydantic import BaseModel
from trivial_model import Trivial

app = FastAPI()
model = Trivial()


class Rows(BaseModel):
    """The request."""

    input: list[list[float]]


@app.get("/")
async def healthy() -> str:
    """Answer probes."""
    return "Healthy"


@app.post("/score")
async def score(rows: Rows) -> dict[str, list[float]]:
    """Answer {"result": [sums]} to {"input": [rows]}."""
    return {"result": model.sum_rows(rows.input)}
