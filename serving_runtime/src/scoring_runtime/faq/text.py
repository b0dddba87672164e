"""Cleans the text of a question: markup and links go, code stays as words of its own. Lowest layer of `faq`."""

import html
import re

WORD_PATTERN = r"[a-z_$][\w$]*|\d+|[=!<>]=+|=>|\.{3}|\?\?|\?\.|&&|\|\|"
"""Words, identifiers, numbers, and the operators people ask about (`===`, `=>`, `...`)."""

_MARKUP = re.compile(
    r"</?(?:a|abbr|b|blockquote|br|code|dd|del|div|dl|dt|em|h[1-6]|hr|i|img|ins|kbd|li|ol|p|pre|s|span|strike"
    r"|strong|sub|sup|table|tbody|td|th|thead|tr|ul)(?:\s[^<>]*)?/?>"
)
# Both start once per run of their characters and never give back what they took: from every word boundary of a run,
# as in "a$a$a…", the time would grow with the square of the length. What comes before the first boundary is kept.
_LINK = re.compile(r"(?<![a-z0-9+.-])(?>([a-z0-9+.-]*?)\b(?=[a-z]))[a-z0-9+.-]++://\S+")
_CAMEL_CASE = re.compile(r"(?<![\w$])(\$*+)([\w$]*[a-z][A-Z][\w$]*)")
# html.unescape reads the digits as one int, and Python refuses those of more than 4,300 digits.
_ENDLESS_REFERENCE = re.compile(r"&#\d{1000,};?")
_LOWER_UPPER = re.compile(r"[a-z][A-Z]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMES = frozenset({"JavaScript", "TypeScript", "jQuery", "GitHub"})


def clean_text(text: str) -> str:
    """Return `text` in lower case without HTML markup and links.

    Code is kept, and an identifier is followed by its parts: `addEventListener` also says "add event listener", the words
    of people who do not know the name.
    """
    # What most texts lack is looked for by its first characters: that takes a tenth of the time.
    plain = _MARKUP.sub(" ", text) if "<" in text else text
    if "&" in plain:
        plain = html.unescape(_ENDLESS_REFERENCE.sub(" ", plain))
    linked = _LINK.sub(r"\1 ", plain) if "://" in plain else plain
    spelled = _CAMEL_CASE.sub(_spell_out, linked) if _LOWER_UPPER.search(linked) else linked
    return " ".join(spelled.lower().split())


def _spell_out(identifier: re.Match[str]) -> str:
    before, name = identifier.groups()
    return identifier.group() if name in _NAMES else f"{before}{name} {_HUMP.sub(' ', name)}"
