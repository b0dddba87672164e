"""The trivial model as a LitAPI. The port is the first argument."""

import sys

from litserve import LitAPI, LitServer
from trivial_model import Trivial


class TrivialAPI(LitAPI):
    """Decode, predict, encode, as LitServe's documentation has it."""

    def setup(self, device: str) -> None:
        """Load the model in its worker process."""
        self.model = Trivial()

    def decode_request(self, request: dict[str, list[list[float]]]) -> list[list[float]]:
        """Return the rows."""
        return request["input"]

    def predict(self, rows: list[list[float]]) -> list[float]:
        """Return the sums."""
        return self.model.sum_rows(rows)

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """Return the answer."""
        return {"output": output}


if __name__ == "__main__":
    server = LitServer(TrivialAPI(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
