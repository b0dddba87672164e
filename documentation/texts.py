"""Texts of a schema as Markdown: nothing in them is taken for markup but code between backticks."""


def code(text: str) -> str:
    """Return text as inline code."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def code_cell(text: str) -> str:
    """Return text as inline code in a cell of a table, where a | would end the cell."""
    return code(text).replace("|", "\\|")


def escape(text: str) -> str:
    """Return a sentence whose < and * outside of code mean themselves."""
    pieces = text.split("`")
    outside = [piece.replace("<", "\\<").replace("*", "\\*") for piece in pieces[::2]]
    pieces[::2] = outside
    return "`".join(pieces)


def escape_cell(text: str) -> str:
    """Return a sentence as the cell of a table."""
    return escape(text).replace("|", "\\|")
