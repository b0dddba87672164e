"""Redaction: what is written for people and machines to read, without keys, tokens, passwords and signed URLs.

Operator and runtime share no code, so this file stands in both, and a test of the repository holds the two equal. It imports nothing
of either. What is found is what stands behind a telling name, has the shape of a known credential, or is a value that this process
was given as a secret; docs/adr/0017-clean-logs.md says why it is our own and where its limits are.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

REDACTED = "[redacted]"
MAX_CHARACTERS = 65_536
"""Of one text; the rest is cut. Rules take time by length, and no log line is read that far."""

MIN_SECRET_CHARACTERS = 6
"""Of a value that is looked for wherever it appears: shorter ones, such as `true`, would black out half of each line."""

MAX_DEPTH = 8
"""Of nested values; what lies deeper is left out."""

_NAMES = (
    r"(?:password|passwd|passphrase|passcode|(?<![a-z])(?:pass|pwd|cookie)|api[-_]?key|access[-_]?key(?:[-_]?id)?"
    r"|(?:account|private|secret|encryption|shared[-_]?access)[-_]?key|authorization)"
)
_LOOSE_NAMES = rf"(?:{_NAMES}|secret|token|credentials?|signature|connection[-_]?string|(?<![a-z])(?:sig|auth))"
"""Also ordinary words: what stands behind them counts only when it is joined to them or stands in quotes."""

_NAME_SIGNS = ("pass", "pwd", "cookie", "key", "auth", "secret", "token", "credential", "sig", "connection")

_SECRET_NAME = re.compile(rf"{_LOOSE_NAMES}$", re.IGNORECASE)
# A shell's variables, which end like the name of a password.
_FOLDERS = ("PWD", "OLDPWD")


@dataclass(frozen=True)
class Rule:
    """What one kind of secret looks like, what is left of it, and why it is looked for."""

    name: str
    signs: tuple[str, ...]
    """Texts of which one must be there, in any case: looking for them takes a hundredth of the time of the pattern."""

    pattern: re.Pattern[str]
    rest: str
    reason: str

    def apply(self, text: str, lowered: str) -> str:
        """Return the text without this kind of secret; `lowered` is a text in small letters that holds no fewer signs."""
        return self.pattern.sub(self.rest, text) if any(sign in lowered for sign in self.signs) else text


RULES = (
    Rule(
        "private key",
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:(?!-----END).){0,16384}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----)?",
            re.DOTALL,
        ),
        REDACTED,
        "a TLS or SSH key that a library quotes; also one that was cut off",
    ),
    Rule(
        "odd user information",
        ("://",),
        # A `:` after which no port stands, and an @ later on: a password with a / ? or # in it, which no parser takes for one.
        re.compile(r"""(://)[^\s/?#@:\[\]"'<>]{0,256}:(?!\d{1,5}(?:[/?#"'<>\s]|$))[^\s"'<>]{1,1024}@"""),
        r"\1",
        "a password in a URI that should have been percent-encoded",
    ),
    Rule(
        "uri",
        ("://",),
        re.compile(
            # What stands before the @ of abfs is no user, but the container.
            r"""\b(abfss?://[^\s/?#:@"'<>]{1,63}@|[a-z][a-z0-9+.-]{0,31}://)([^\s/?#"'<>]{0,1024}@)?([^\s?#"'<>]{0,4096})([?#][^\s"'<>]{0,8192})?""",
            re.IGNORECASE,
        ),
        r"\1\3",
        "user, password and query of a URI: signed URLs of object stores carry their right to read in the query",
    ),
    Rule(
        "user and password",
        ("@",),
        re.compile(r"""(?<![\w/@.-])([\w.+-]{1,64}):[^\s:@/"'<>]{1,256}@(?!sha\d)(?=[\w.-])"""),
        rf"\1:{REDACTED}@",
        "user:password@host without a scheme, as data base and proxy libraries write it",
    ),
    Rule(
        "authorization",
        ("bearer", "basic", "digest", "token", "negotiate", "apikey"),
        re.compile(
            r"\b((?i:Bearer|Basic|Digest|Token|Negotiate|ApiKey))\s+(?!realm|error)(?=\S{0,512}(?:[0-9=_]|[a-z][A-Z]))[^\s\"',;]{6,8192}"
        ),
        rf"\1 {REDACTED}",
        "a credential behind its HTTP scheme",
    ),
    Rule(
        "quoted value",
        _NAME_SIGNS,
        re.compile(
            rf"""({_LOOSE_NAMES}\\?["']?\s?(?:[:=]|=>|,)\s{{0,4}}b?)"""
            r"""(?:\\"(?:(?!\\").){0,4096}(?:\\"|$)|"(?:\\.|[^"\\]){0,4096}(?:"|$)|'(?:\\.|[^'\\]){0,4096}(?:'|$))""",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
        "JSON, YAML, Python's own way of showing a dictionary, and lists of headers",
    ),
    Rule(
        "joined value",
        _NAME_SIGNS,
        re.compile(rf"""({_LOOSE_NAMES})(\s?=\s?|:)(?![\s=:/])[^\s"'<>]{{1,8192}}""", re.IGNORECASE),
        rf"\1\2{REDACTED}",
        "name=value: environments, queries without their URI, connection strings, forms",
    ),
    Rule(
        "header",
        _NAME_SIGNS,
        re.compile(rf"""({_NAMES}\s?:\s{{1,4}}|--{_LOOSE_NAMES}\s)(?!\[redacted])[^\s"'<>]{{1,8192}}""", re.IGNORECASE),
        rf"\1{REDACTED}",
        "name: value, as in HTTP headers and YAML, and --name value of a command line",
    ),
    Rule(
        "JSON web token",
        ("eyj",),
        re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{2,8192}(?:\.[A-Za-z0-9_-]{0,4096})?"),
        REDACTED,
        "service account and user tokens",
    ),
    Rule(
        "known token",
        (
            "akia",
            "asia",
            "gh",
            "glpat-",
            "hf_",
            "xox",
            "aiza",
            "ya29.",
            "sk-",
            "sk_",
            "dckr_pat_",
            "nvapi-",
            "pypi-",
            "npm_",
            "scoring_",
        ),
        re.compile(
            r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[a-z]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|hf_[A-Za-z0-9]{16,255}"
            r"|xox[a-z]-[\w-]{8,255}|AIza[\w-]{35}|ya29\.[\w-]{10,2048}|sk-[\w-]{16,255}|sk_[a-z]{2,8}_\w{12,255}|dckr_pat_[\w-]{16,255}"
            r"|nvapi-[\w-]{16,255}|pypi-[\w-]{32,512}|npm_[A-Za-z0-9]{20,255}|scoring_[\w-]{43}(?![\w-]))"
        ),
        REDACTED,
        "keys that say themselves whose they are: AWS, GitHub, GitLab, Hugging Face, Slack, Google, OpenAI and Stripe, Docker, NVIDIA, PyPI, npm, and our own",
    ),
)

_URI_RULES = [rule for rule in RULES if rule.signs == ("://",)]


class Redactor:
    """Redacts by the rules, by patterns that the settings add, and by values that are known to be secret."""

    def __init__(self) -> None:
        self._added: tuple[re.Pattern[str], ...] = ()
        self._values: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None

    def add_patterns(self, patterns: Iterable[str]) -> None:
        """Redact what these regular expressions match as well. Raises ValueError for one that cannot be used."""
        self._added = (*self._added, *map(compile_pattern, patterns))

    def learn(self, values: Iterable[str]) -> None:
        """Redact these values wherever they appear."""
        fresh = {value for value in values if len(value) >= MIN_SECRET_CHARACTERS}
        if fresh - self._values:
            self._values |= fresh
            # The longest first, or a secret that begins with another would keep its end.
            known = sorted(self._values, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, known)))

    def redact(self, text: str) -> str:
        """Return the text without secrets, and without what exceeds MAX_CHARACTERS."""
        if len(text) > MAX_CHARACTERS:
            text = text[:MAX_CHARACTERS] + "…"
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern in self._added:
            text = pattern.sub(REDACTED, text)
        lowered = text.lower()
        return reduce(lambda left, rule: rule.apply(left, lowered), RULES, text)

    def redact_value(self, value: Any, name: str = "", depth: int = 0) -> Any:  # noqa: ANN401  # whatever is logged
        """Return a value of any type without secrets; `name` is the one it is logged under, which may tell that it is one."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if _SECRET_NAME.search(name):
            return REDACTED
        if isinstance(value, str):
            return self.redact(value)
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return {str(key): self.redact_value(one, str(key), depth + 1) for key, one in value.items()}
        if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
            return [self.redact_value(one, "", depth + 1) for one in value]
        return self.redact(repr(value))


def compile_pattern(text: str) -> re.Pattern[str]:
    """Return a pattern of the settings, ready to use. Raises ValueError, without its text, which may be a secret itself."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    if pattern.search("") is not None:
        raise ValueError("matches the empty text, and so at every place")
    return pattern


def find_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the values of those environment variables whose names say that they are secret, such as AWS_SECRET_ACCESS_KEY."""
    return [value for name, value in environment.items() if _SECRET_NAME.search(name) and name not in _FOLDERS]


def cut_uris(text: str) -> str:
    """Return the text with user, password, query and fragment cut from every URI in it, and nothing else changed."""
    return reduce(lambda left, rule: rule.apply(left, text), _URI_RULES, text)


redactor = Redactor()
"""The one of this process: logs, termination messages and status go through it."""
