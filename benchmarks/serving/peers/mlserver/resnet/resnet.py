"""ResNet-152 as a custom MLServer runtime: a base64 picture, labels and probabilities."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from resnet_model import ResNet


class ResNetModel(MLModel):
    """A custom runtime, as MLServer's documentation has it."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = ResNet()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the best labels of the picture."""
        pictures = self.decode(payload.inputs[0], default_codec=Base64Codec)
        labels, probabilities = zip(*self.model.classify(pictures[0]), strict=True)
        outputs = [
            StringCodec.encode_output("labels", list(labels)),
            NumpyCodec.encode_output("probabilities", np.asarray(probabilities)),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
