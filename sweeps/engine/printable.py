"""Text from files that others wrote, as it may be printed."""


def printable(text: str) -> str:
    """One line in which nothing moves the cursor of a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.replace("\t", "    "))
