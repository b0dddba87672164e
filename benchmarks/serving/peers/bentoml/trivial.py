"""The trivial model as a BentoML service."""

import bentoml
from trivial_model import Trivial as Model


@bentoml.service(workers=1)
class Service:
    """One API, as BentoML's documentation has it."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api
    def score(self, rows: list[list[float]]) -> list[float]:
        """Answer the sums to {"rows": [rows]}."""
        return self.model.sum_rows(rows)
