"""The data of the tabular sample: parcels, made up by a rule with chance in it, and short messages written by hand."""

import numpy as np
import pandas as pd

COLUMNS = ("distance_km", "weight_kg", "carrier", "stops", "weekend", "remark")
LATE, ON_TIME = "late", "on time"

# Of every hundred parcels of each carrier, roughly: what the model has to find out.
_CARRIER_DELAY = {"bicycle": 0.4, "rail": -0.6, "road": 0.0, "sea": 1.2}
_REMARKS = {"": 0.0, "leave at the door": -0.5, "ring the bell twice": 0.3, "call before delivery": 1.0}
_MISSING_SHARE = 0.1

MESSAGES = (
    ("delivery", "My parcel has not arrived yet"),
    ("delivery", "When will my order be delivered?"),
    ("delivery", "The courier left the box with a neighbour"),
    ("delivery", "Can I change the delivery address?"),
    ("delivery", "The tracking number does not work"),
    ("delivery", "Please deliver the parcel on another day"),
    ("payment", "I was charged twice for one order"),
    ("payment", "My credit card is refused"),
    ("payment", "Where do I find my invoice?"),
    ("payment", "I want my money back"),
    ("payment", "Can I pay the invoice by bank transfer?"),
    ("payment", "The refund has not reached my card"),
    ("account", "I forgot my password"),
    ("account", "How do I delete my account?"),
    ("account", "I cannot log in with my new email"),
    ("account", "Please change the name on my account"),
    ("account", "The login code never comes by email"),
    ("account", "My account is locked after three wrong passwords"),
)
"""Topic and text of messages to a shop: enough to show the form, not to be good at it."""


def make_parcels(count: int, seed: int) -> pd.DataFrame:
    """Return `count` parcels in COLUMNS and their `outcome`; some weights are missing. The same seed gives the same rows."""
    random = np.random.default_rng(seed)
    carriers, remarks = list(_CARRIER_DELAY), list(_REMARKS)
    table = pd.DataFrame(
        {
            "distance_km": random.gamma(2.0, 150.0, count).round(1),
            "weight_kg": random.gamma(1.5, 3.0, count).round(2),
            "carrier": random.choice(carriers, count),
            "stops": random.integers(1, 12, count),
            "weekend": random.random(count) < 2 / 7,
            "remark": random.choice(remarks, count),
        }
    )
    delay = (
        (table["distance_km"] - 300) / 120
        + table["weight_kg"] / 8
        + table["stops"] / 6
        + table["weekend"] * 1.2
        + table["carrier"].map(_CARRIER_DELAY)
        + table["remark"].map(_REMARKS)
        - 2.0
    )
    table["outcome"] = np.where(random.logistic(size=count) < delay, LATE, ON_TIME)
    table.loc[random.random(count) < _MISSING_SHARE, "weight_kg"] = np.nan
    return table
