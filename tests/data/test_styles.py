"""Pictures as people take them, drawn here: read right in every style, and with a word where there is no digit.

`FASTCNN_STYLES=200` looks at so many digits a style, with the full MNIST if FASTCNN_DATA_DIR names it.
"""

import os

import numpy as np
import pytest
import styles

from fastcnn.data import load_dataset, mnist_row, mnist_style
from fastcnn.errors import DataError

MANY = int(os.environ.get("FASTCNN_STYLES", "6"))
SAMPLE = load_dataset("sample")


@pytest.fixture(scope="module")
def read(trained):
    """What the network makes of images ``(N, 28, 28)``: a class each."""
    return lambda images: trained.probabilities(np.asarray(images, np.uint8)[:, np.newaxis]).argmax(axis=1)


def clear_digits(count):
    """Test digits of the sample that show plainly what they are, of each class as many."""
    labels = SAMPLE.test_labels
    chosen = np.concatenate([np.flatnonzero(labels == digit)[: -(-count // 10)] for digit in range(10)])
    return chosen[np.random.default_rng(0).permutation(len(chosen))][:count]


@pytest.mark.parametrize("name", styles.FOUND)
def test_digits_are_read_in_every_style(read, name):
    rng = np.random.default_rng([1, *name.encode()])
    chosen = clear_digits(MANY)
    labels = SAMPLE.test_labels[chosen]
    digits = labels.tolist() if name == "typeface" else SAMPLE.test_images[chosen, 0]
    seen, wanted = [], read([mnist_style(digit) for digit in SAMPLE.test_images[chosen, 0]])
    if name == "typeface":
        wanted = labels
    for digit in digits:
        try:
            seen.append(mnist_style(styles.FOUND[name](digit, rng)))
        except DataError:
            seen.append(np.zeros((28, 28), np.uint8))
    right = np.mean(read(seen) == wanted)
    assert right >= (0.9 if MANY >= 50 else 0.8), f"{right:.0%}"


@pytest.mark.parametrize("kind", ["plain", "ruled", "squared", "shadow"])
def test_paper_without_a_digit_is_blank(kind):
    rng = np.random.default_rng([3, *kind.encode()])
    for _ in range(4):
        with pytest.raises(DataError, match="no ink that stands out"):
            mnist_style(styles.blank(rng, kind))


def test_a_row_is_read_from_left_to_right_and_is_no_single_digit():
    rng = np.random.default_rng(5)
    for count in (2, 3, 5):
        chosen = rng.choice(clear_digits(100), count, replace=False)
        digits = SAMPLE.test_images[chosen, 0]
        picture = styles.row(rng, digits)
        with pytest.raises(DataError, match=f"got {count} that stand side by side; read them by --row"):
            mnist_style(picture)
        seen, wanted = (
            np.array(images, float).reshape(count, -1) for images in (mnist_row(picture), [*map(mnist_style, digits)])
        )
        likeness = np.corrcoef(seen, wanted)[:count, count:]
        assert likeness.argmax(axis=1).tolist() == [*range(count)] and likeness.diagonal().min() > 0.7, likeness
