"""The trivial model on KServe's Python server, asked in its v1 protocol or the Open Inference Protocol v2."""

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid
from trivial_model import Trivial

V1 = dict[str, Any]


class TrivialModel(Model):
    """A custom predictor, as KServe's documentation has it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.model = Trivial()
        self.ready = True

    def predict(self, payload: V1 | InferRequest, headers: dict[str, str] | None = None) -> V1 | InferResponse:
        """Answer the sums."""
        if not isinstance(payload, InferRequest):
            return {"predictions": self.model.sum_rows(payload["instances"])}
        sums = self.model.score({"x": payload.inputs[0].as_numpy()})["y"]
        output = InferOutput(name="y", shape=list(sums.shape), datatype="FP64", data=np.asarray(sums).tolist())
        return InferResponse(payload.id or generate_uuid(), self.name, [output])


if __name__ == "__main__":
    ModelServer().start([TrivialModel("trivial")])
