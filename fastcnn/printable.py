"""Text that is fit for a terminal, whoever wrote it."""


def printable(text: str) -> str:
    r"""The text with all that can't be seen, or would steer a terminal, as Python writes it; line breaks stay.

    >>> print(printable("a\x1b[31mb\rc\u202e\n"), end="")
    a\x1b[31mb\rc\u202e
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
