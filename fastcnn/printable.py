"""Text that is fit for a terminal, whoever wrote it."""


def printable(text: str, keep: str = "\n") -> str:
    r"""The text with all that can't be seen, or would steer a terminal, as Python writes it; but for what `keep` holds.

    >>> print(printable("a\x1b[31mb\rc\u202e\n"), end="")
    a\x1b[31mb\rc\u202e
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text)
