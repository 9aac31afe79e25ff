"""Print how many digits of MNIST are read right in each style of picture: ``tools/picture_styles.py RUN [DIGITS]``.

Draws the styles of ``tests/data/styles.py`` with test digits of MNIST (from FASTCNN_DATA_DIR, or the sample).
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests" / "data")]
import styles  # noqa: E402

from fastcnn.classifier import load_classifier  # noqa: E402
from fastcnn.data import load_dataset, mnist_style  # noqa: E402
from fastcnn.errors import DataError  # noqa: E402


def main(run, count=200):
    classifier, data = load_classifier(run), load_dataset()
    print("| style | right | refused | median ms |\n|---|--:|--:|--:|")
    for name, style in styles.FOUND.items():
        rng = np.random.default_rng([9, *name.encode()])
        seen, times = [], []
        chosen = rng.permutation(len(data.test_labels))[: int(count)]
        for index in chosen:
            label = int(data.test_labels[index])
            picture = style(label if name == "typeface" else data.test_images[index, 0], rng)
            begun = time.perf_counter()
            try:
                seen.append(mnist_style(picture))
            except DataError:
                seen.append(np.zeros((28, 28), np.uint8))
            times.append(time.perf_counter() - begun)
        seen = np.array(seen)
        refused = ~seen.any(axis=(1, 2))
        taken = classifier.probabilities(seen[:, np.newaxis]).argmax(axis=1)
        right = np.mean((taken == data.test_labels[chosen]) & ~refused)
        print(
            f"| {name.replace('_', ' ')} | {right:.1%} | {refused.mean():.1%} | {np.median(times) * 1e3:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
