"""Cleans the text of a question: markup and links go, code stays as words of its own. Lowest layer of `faq`."""

import html
import re

WORD_PATTERN = r"[a-z_$][\w$]*|\d+|[=!<>]=+|=>|\.{3}|\?\?|\?\.|&&|\|\|"
"""Words, identifiers, numbers, and the operators people ask about (`===`, `=>`, `...`)."""

_MARKUP = re.compile(
    r"</?(?:a|abbr|b|blockquote|br|code|dd|del|div|dl|dt|em|h[1-6]|hr|i|img|ins|kbd|li|ol|p|pre|s|span|strike"
    r"|strong|sub|sup|table|tbody|td|th|thead|tr|ul)(?:\s[^<>]*)?/?>"
)
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+")
_CAMEL_CASE = re.compile(r"\b[\w$]*[a-z][A-Z][\w$]*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMES = frozenset({"JavaScript", "TypeScript", "jQuery", "GitHub"})


def clean_text(text: str) -> str:
    """Return `text` in lower case without HTML markup and links.

    Code is kept, and an identifier is followed by its parts: `addEventListener` also says "add event listener", the words
    of people who do not know the name.
    """
    plain = html.unescape(_MARKUP.sub(" ", text))
    spelled = _CAMEL_CASE.sub(_spell_out, _LINK.sub(" ", plain))
    return " ".join(spelled.lower().split())


def _spell_out(identifier: re.Match[str]) -> str:
    name = identifier.group()
    return name if name in _NAMES else f"{name} {_HUMP.sub(' ', name)}"
