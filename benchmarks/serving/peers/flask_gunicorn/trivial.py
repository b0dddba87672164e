"""The trivial model behind Flask, run by gunicorn with one sync worker as the reference did."""

from flask import Flask, request
from trivial_model import Trivial

app = Flask(__name__)
model = Trivial()


@app.get("/")
def healthy() -> str:
    """Answer probes."""
    return "Healthy"


@app.post("/score")
def score() -> dict[str, list[float]]:
    """Answer {"result": [sums]} to {"input": [rows]}."""
    return {"result": model.sum_rows(request.json["input"])}
