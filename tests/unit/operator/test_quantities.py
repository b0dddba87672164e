"""Quantities as Kubernetes writes them, as numbers."""

from decimal import Decimal

import pytest

from scoring_operator.quantities import parse_quantity


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("1", "1"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("100n", "1e-7"),
        ("2k", "2000"),
        ("1E", "1e18"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("5e-1", "0.5"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("2Ei", str(2 * 1024**6)),
        ("-1", "-1"),
    ],
)
def test_quantity_is_what_it_amounts_to(quantity: int | str, amount: str) -> None:
    assert parse_quantity(quantity) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "Gi", "1ki", "1 Gi", "1..5", ".", "one", "1Gi1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
