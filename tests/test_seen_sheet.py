"""What predict --show draws: bars as long as the model is sure, names and doubts within their cell."""

import numpy as np
import pytest

from fastcnn.seen_sheet import BAR, BARS, SIDE, seen_sheet

PICTURE, IMAGE = np.full((30, 60, 3), 200, np.uint8), np.zeros((1, 28, 28), np.uint8)


def longest_bars(sheet):
    """How many pixels of bars each row of the sheet has, without repetitions."""
    widths = (sheet == BAR).all(axis=2).sum(axis=1)
    return [int(width) for width, before in zip(widths, [0, *widths[:-1]], strict=True) if width not in (0, before)]


def test_bars_are_as_long_as_the_model_is_sure():
    sheet = seen_sheet(["a"], [PICTURE], [IMAGE], [np.array([0.25, 0.0, 1.0, 0.5])], [""])
    assert longest_bars(sheet) == [0.25 * BARS + 1, BARS + 1, 0.5 * BARS + 1]


def test_of_many_classes_the_likeliest_are_shown():
    sure = np.arange(62) / 100
    sheet = seen_sheet(["a"], [PICTURE], [IMAGE], [sure], [""])
    assert longest_bars(sheet) == [int(number) + 1 for number in range(52, 62)]


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1), (28, 28, 4), (5, 5, 3)])
def test_any_name_doubt_and_picture_fits_its_cell(shape):
    usual = seen_sheet(["a", "b"], [PICTURE] * 2, [IMAGE] * 2, [np.ones(10) / 10] * 2, ["", ""])
    picture = np.full(shape, 90, np.uint8)
    sheet = seen_sheet(["x" * 300, "\x1b[31m"], [picture] * 2, [IMAGE] * 2, [np.ones(10) / 10] * 2, ["why " * 99, ""])
    assert sheet.shape == usual.shape
    assert (sheet[:, -2:] == 255).all() and (sheet[:, :10] == 255).all()
    assert sheet.shape[0] > SIDE
