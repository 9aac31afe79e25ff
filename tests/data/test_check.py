"""check says what can't be right about images and labels, and nothing of what is fine."""

import re

import numpy as np
import pytest

from fastcnn.data import check, load_dataset

SAMPLE = load_dataset("sample")
IMAGES, LABELS = SAMPLE.test_images[:200], SAMPLE.test_labels[:200]


def clothes():
    """Images as Fashion-MNIST's: bright shapes that fill most of the field, some up to its edge."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 10
    rows, columns = np.mgrid[:28, :28]
    images = np.zeros((200, 1, 28, 28), np.uint8)
    for image, label in zip(images[:, 0], labels, strict=True):
        shape = (abs(columns - 13.5) < 4 + label) & (abs(rows - 13.5) < 14 - label % 4)
        image[shape] = rng.integers(90, 256, shape.sum())
    return images, labels


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (SAMPLE.train_images, SAMPLE.train_labels),
        (SAMPLE.test_images, SAMPLE.test_labels),
        *((IMAGES[first : first + 20], LABELS[first : first + 20]) for first in (0, 20, 40, 60)),
        (IMAGES[:1], LABELS[:1]),
        (IMAGES[:0], LABELS[:0]),
        (np.pad(IMAGES, ((0, 0), (0, 0), (2, 2), (2, 2))), LABELS),
        (IMAGES[:, :, 8:20, 9:19], LABELS),
        (IMAGES, LABELS + 9),
        (np.where(IMAGES > 99, 255, 0).astype(np.uint8), LABELS),
        clothes(),
        (np.random.default_rng(0).integers(0, 256, (60, 1, 28, 28), np.uint8), np.arange(60) % 10),
    ],
    ids=range(14),
)
def test_what_is_fine_gives_no_line(images, labels):
    assert check(images, labels) == []


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (IMAGES // 255, LABELS, "the brightest pixel is 1 of 255: scaled twice?"),
        (IMAGES // 16, LABELS, "the brightest pixel is 15 of 255: scaled?"),
        (IMAGES * 0, LABELS, "all black: nothing can be learnt"),
        (IMAGES * 0 + 255, LABELS, "each of one colour: nothing can be learnt"),
        (
            np.where(np.arange(200)[:, None, None, None] % 20 == 7, 0, IMAGES),
            LABELS,
            "5% .* one colour, such as image 7:",
        ),
        (255 - IMAGES, LABELS, "dark on a light ground"),
        (IMAGES.swapaxes(2, 3), LABELS, "lie transposed, as in EMNIST's files: pass --transpose"),
        (IMAGES[:20].swapaxes(2, 3), LABELS[:20], "lie transposed"),
        (IMAGES[..., ::-1], LABELS, "digits are mirrored: "),
        (IMAGES[:, :, ::-1], LABELS, "digits are upside down: "),
        (IMAGES[:, :, ::-1, ::-1], LABELS, "digits are turned by 180 degrees: "),
        (np.rot90(IMAGES, -1, (2, 3)), LABELS, "digits are turned to the right: "),
        (np.rot90(IMAGES, 1, (2, 3)), LABELS, "digits are turned to the left: "),
        (np.rot90(IMAGES.swapaxes(2, 3), 2, (2, 3)), LABELS, "digits are mirrored and turned: "),
        (IMAGES, np.where(np.arange(200) == 5, 77, LABELS), "only 11 of the classes 0 to 77 .* of image 5, 77, right"),
        (IMAGES, LABELS * 0 + 3, "all labels are 3: there is nothing to tell apart"),
    ],
    ids=range(16),
)
def test_what_can_not_be_right_gives_one_line_and_the_remedy(images, labels, says):
    [line] = check(images, labels)
    assert "\n" not in line and (": " in line or "; " in line)
    assert re.search(says, line), line


def test_dark_digits_that_are_transposed_as_well_give_two_lines():
    assert ["light" in line for line in check(255 - IMAGES.swapaxes(2, 3), LABELS)] == [True, False]


def test_upright_digits_that_the_loading_transposed_are_to_be_left_as_they_are():
    [line] = check(IMAGES.swapaxes(2, 3), LABELS, transposed=True)
    assert "pass --no-transpose" in line


def test_images_at_the_end_of_a_large_set_are_looked_at():
    images = np.zeros((20_000, 1, 4, 4), np.uint8)
    images[::2, :, 1] = 1
    assert "the brightest pixel is 1 of" in check(images, np.arange(20_000) % 10)[0]
    images[19_000:, :, 1] = 255
    assert not any("brightest" in line for line in check(images, np.arange(20_000) % 10))


def test_the_real_mnist_gives_no_line(data_dir):
    data = load_dataset("mnist", data_dir)
    assert check(data.train_images, data.train_labels) == check(data.test_images, data.test_labels) == []
