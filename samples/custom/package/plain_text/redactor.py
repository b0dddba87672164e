"""A redactor of e-mail addresses, card numbers, bank accounts, IP addresses and telephone numbers. Rules, no learning.

What has a check digit is checked, so that an order number is not taken for a card. Names and addresses of streets are not
found: that takes a trained model.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from scoring_runtime.errors import InvalidInputError

RULES_FILE = "rules.json"
MAX_CHARACTERS = 100_000


def is_card_number(text: str) -> bool:
    """Tell whether the digits end in the check digit of payment cards (Luhn)."""
    digits = [int(digit) for digit in text if digit.isdecimal()]
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def is_bank_account(text: str) -> bool:
    """Tell whether the two check digits of an IBAN are right (ISO 7064, modulo 97)."""
    compact = text.replace(" ", "").upper()
    rotated = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in rotated)) % 97 == 1


def is_address(text: str) -> bool:
    """Tell whether the text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Rule:
    """What one kind looks like, and what tells a real one from a number that only looks like it."""

    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = bool


# In this order: a card number also looks like a telephone number. Every repetition is bounded, so that no text takes long.
RULES: Mapping[str, Rule] = {
    "EMAIL": Rule(re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b")),
    "IBAN": Rule(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), is_bank_account),
    "CARD": Rule(re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), is_card_number),
    "IP": Rule(re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), is_address),
    "PHONE": Rule(re.compile(r"(?<![\w.])(?:\+|00)\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}\b")),
}


class Redactor:
    """Answers a text with each finding replaced by its kind, and how many there were of each.

    The artifact's rules.json says which kinds: what the model is lies in the artifact, what runs lies in the image.
    """

    def __init__(self) -> None:
        self.rules: Mapping[str, Rule] = {}

    def load(self, path: Path) -> None:
        """Read the artifact's rules.json: `{"kinds": ["EMAIL", …]}`. Raises ValueError for a kind that there is not."""
        kinds = json.loads((path / RULES_FILE).read_text(encoding="utf-8"))["kinds"]
        unknown = [kind for kind in kinds if kind not in RULES]
        if unknown:
            raise ValueError(f"{RULES_FILE} names the kind {unknown[0]!r}; there are {', '.join(RULES)}")
        self.rules = {kind: rule for kind, rule in RULES.items() if kind in kinds}

    def score(self, batch: Sequence[Any]) -> list[dict[str, Any]]:
        """Redact each text. Raises InvalidInputError, which clients get as status 400, for anything else."""
        return [self.redact(item) for item in batch]

    def redact(self, text: object) -> dict[str, Any]:
        """Return `{"text": …, "found": {"EMAIL": 1}}`."""
        if not isinstance(text, str):
            raise InvalidInputError('input must be a text: send {"input": "…"}.')
        if len(text) > MAX_CHARACTERS:
            raise InvalidInputError(f"input has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
        found: dict[str, int] = {}
        for kind, rule in self.rules.items():
            text, count = _replace(text, kind, rule)
            found |= {kind: count} if count else {}
        return {"text": text, "found": found}


def _replace(text: str, kind: str, rule: Rule) -> tuple[str, int]:
    count = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal count
        if not rule.is_real(match.group()):
            return match.group()
        count += 1
        return f"[{kind}]"

    return rule.pattern.sub(mark, text), count
