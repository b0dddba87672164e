"""The trivial model as a custom MLServer runtime."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from trivial_model import Trivial


class TrivialModel(MLModel):
    """A custom runtime, as MLServer's documentation has it."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = Trivial()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the sums."""
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        sums = self.model.score({"x": rows})["y"]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", sums)])
