"""Rows of text as an aligned table."""

from collections.abc import Collection, Sequence

from fastcnn.printable import printable


def table(rows: Sequence[Sequence[str]], right: Collection[int]) -> str:
    """Rows as aligned text: the first is the head, the last the totals, ruled off; columns `right` flush right.

    What can't be printed is escaped, line breaks too.
    """
    rows = [[printable(cell, keep="") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
