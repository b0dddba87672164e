"""The time that conditions and events are given, and that theirs are compared with: the API server's. Below `connection`.

This machine's clock may be wrong, and that of the next leader another. So the API server's own time, which each of its answers tells, counts where
the two are apart. What is measured on this machine alone is measured by a clock that is never set.
"""

import datetime
import email.utils
import logging
import time
from collections.abc import Callable

TOLERATED = datetime.timedelta(seconds=5)
"""More than the whole seconds that the API server tells and the time that its answer takes."""

ANSWER_SECONDS = 2.0
"""What an answer says of the time counts only if it came as fast as that."""

logger = logging.getLogger(__name__)


def read_steady_seconds() -> float:
    """Return seconds of a clock that is never set, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_wall() -> datetime.datetime:
    """Return what this machine holds to be the time."""
    return datetime.datetime.now(datetime.UTC)


class ClusterClock:
    """The API server's time, as far as it is known."""

    def __init__(
        self,
        wall: Callable[[], datetime.datetime] = read_wall,
        steady_seconds: Callable[[], float] = read_steady_seconds,
    ) -> None:
        self._wall = wall
        self._steady_seconds = steady_seconds
        self._told: tuple[datetime.datetime, float] | None = None
        self._is_wrong = False

    def now(self) -> datetime.datetime:
        """Return this machine's time, or the API server's if that is another."""
        wall = self._wall()
        if self._told is None:
            return wall
        told, at_seconds = self._told
        right = told + datetime.timedelta(seconds=self._steady_seconds() - at_seconds)
        return wall if abs(wall - right) <= TOLERATED else right

    def note(self, date: str | None, asked_at_seconds: float) -> None:
        """Take note of the header Date of an answer to what was asked at a moment of the steady clock."""
        now_seconds = self._steady_seconds()
        if date is None or now_seconds - asked_at_seconds > ANSWER_SECONDS:
            return
        try:
            told = email.utils.parsedate_to_datetime(date)
        except ValueError:
            return
        if told.tzinfo is None:
            return
        self._told = told, now_seconds
        self._tell(self._wall() - told)

    def _tell(self, ahead: datetime.timedelta) -> None:
        """Log that the clock of this machine is wrong, or right again."""
        is_wrong = abs(ahead) > TOLERATED
        if is_wrong and not self._is_wrong:
            seconds = ahead.total_seconds()
            logger.warning(
                "The clock of this machine is %.0f s %s the API server's, whose time is used instead",
                abs(seconds),
                "ahead of" if seconds > 0 else "behind",
            )
        elif self._is_wrong and not is_wrong:
            logger.info("The clocks of this machine and of the API server agree again")
        self._is_wrong = is_wrong
