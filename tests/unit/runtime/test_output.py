"""What a model's own code prints: lines of the log."""

from structlog.testing import capture_logs

from scoring_runtime.telemetry.output import MAX_PENDING_BYTES, LogLines


def test_lines_are_told_when_they_end() -> None:
    lines = LogLines("stdout", 1)
    with capture_logs() as told:
        for piece in (b"one\ntw", b"o", b"\n"):
            lines.write(piece)
    assert [each["event"] for each in told] == ["one", "two"]


def test_lines_before_one_that_does_not_end_are_told_with_it() -> None:
    endless = "x" * (MAX_PENDING_BYTES + 1)
    with capture_logs() as told:
        LogLines("stdout", 1).write(f"one\ntwo\n{endless}".encode())
    assert [each["event"] for each in told] == [f"one\ntwo\n{endless}"]
