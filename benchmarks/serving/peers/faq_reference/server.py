"""FAQ matching as the reference serves it: the question beside every original in a DataFrame, scored, sorted.

FAQ_PIPELINE is the fitted pipeline (joblib), FAQ_ORIGINALS a JSON list of {"id", "answerId", "text"}.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from flask import Flask, request

TOP = 3

app = Flask(__name__)
pipeline = joblib.load(os.environ["FAQ_PIPELINE"])
originals = pd.DataFrame(json.loads(Path(os.environ["FAQ_ORIGINALS"]).read_text(encoding="utf-8")))


@app.get("/")
def healthy() -> str:
    """Answer probes."""
    return "Healthy"


@app.post("/score")
def score() -> dict[str, list[Any]]:
    """Answer {"result": [[[original, answer, probability], …], "Computed in X ms"]} to {"input": question}."""
    started = time.perf_counter()
    pairs = pd.DataFrame({"Text_x": request.json["input"], "Text_y": originals["text"]})
    probabilities = pipeline.predict_proba(pairs)[:, 1]
    scored = zip(originals["id"].tolist(), originals["answerId"].tolist(), probabilities.tolist(), strict=True)
    matches = sorted(scored, key=lambda match: match[2], reverse=True)[:TOP]
    return {"result": [matches, f"Computed in {(time.perf_counter() - started) * 1000:.2f} ms"]}
