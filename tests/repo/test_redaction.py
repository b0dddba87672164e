"""Operator and runtime redact by the same rules, although they share no code."""

from local_cluster.state import REPOSITORY

PLACES = ("operator/src/scoring_operator/redaction.py", "serving_runtime/src/scoring_runtime/redaction.py")


def test_both_programs_redact_alike() -> None:
    operators, runtimes = ((REPOSITORY / place).read_text() for place in PLACES)
    assert operators == runtimes, f"copy {PLACES[1]} to {PLACES[0]}"
