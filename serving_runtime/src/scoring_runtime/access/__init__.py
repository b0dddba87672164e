"""Who may ask, and how much: API keys, tokens of an issuer, limits for each key and each client.

Sits beside batching.py, below the protocols; knows neither Flask nor gRPC. `gate.py` is what the protocols call; it asks
`clients.py` who is connected, `limits.py` how much that one may, `keys.py` and `tokens.py` who is asking.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever has shown a valid key or token.

    `name` is for logs, never the key itself; `label` is for metrics: the key's name, and one label for all tokens, since an
    issuer's subjects are without number. `expires` in seconds since the epoch; None: never. `models` are those it may ask; None:
    all.
    """

    name: str
    label: str
    expires: float | None = None
    models: frozenset[str] | None = None
