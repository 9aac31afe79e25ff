"""Our conv2d, forward and both backwards, against PyTorch's (contiguous layout) on the shapes of shapes/conv2d.txt.

    pip install ".[bench]" && python bench/conv2d.py [--threads 2] [--algorithm auto] [--only NAME]

Every answer is compared with PyTorch's before it is timed. A ratio above 1 means that fastcnn is faster.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from peers import interleave, spread, use_threads

import fastcnn as fc

SHAPES = Path(__file__).parent / "shapes" / "conv2d.txt"


def read_shapes(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(row[0], tuple(map(int, row[1:]))) for row in rows]


def agree(ours: np.ndarray, theirs: torch.Tensor) -> float:
    """Largest difference relative to the largest entry; more than 1e-4 is a wrong answer."""
    expected = theirs.numpy()
    error = float(np.abs(ours - expected).max() / np.abs(expected).max())
    if error > 1e-4:
        raise SystemExit(f"answers differ by {error:.1e} of the largest entry: not worth timing")
    return error


def directions(batch: int, shape: tuple[int, ...], algorithm: str):
    """(direction, our call, PyTorch's call) for one convolution."""
    channels, height, width, filters, kh, kw, stride, padding = shape
    draw = np.random.default_rng(0).standard_normal
    x = draw((batch, channels, height, width), np.float32)
    weight = draw((filters, channels, kh, kw), np.float32) / np.float32(np.sqrt(channels * kh * kw))
    dy = draw(fc.ops.conv_output_shape(x.shape, weight.shape, stride, padding), np.float32)
    tx, tw, tdy = map(torch.from_numpy, (x, weight, dy))

    def theirs(mask: tuple[bool, bool, bool]):
        args = (None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, mask)
        return torch.ops.aten.convolution_backward(tdy, tx, tw, *args)

    yield (
        "forward",
        lambda: fc.ops.conv2d(x, weight, None, stride, padding, algorithm=algorithm),
        lambda: torch.nn.functional.conv2d(tx, tw, None, stride, padding),
    )
    yield (
        "backward_input",
        lambda: fc.ops.conv2d_backward_input(dy, weight, x.shape, stride, padding, algorithm=algorithm),
        lambda: theirs((True, False, False))[0],
    )
    yield (
        "backward_weight",
        lambda: fc.ops.conv2d_backward_weight(dy, x, weight.shape, stride, padding, algorithm=algorithm),
        lambda: theirs((False, True, False))[1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--algorithm", default="auto")
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    options = parser.parse_args()
    use_threads(options.threads, options.batch)
    torch.set_grad_enabled(False)
    medians: dict[str, list[float]] = {}
    for name, shape in read_shapes(SHAPES):
        if options.only not in name:
            continue
        for direction, ours, theirs in directions(options.batch, shape, options.algorithm):
            error = agree(ours(), theirs())
            our_time, their_time, ratios = interleave(ours, theirs, options.rounds, repeats=3)
            medians.setdefault(direction, []).append(statistics.median(ratios))
            channels, filters, kh, kw = shape[0], shape[3], shape[4], shape[5]
            pixels = np.prod(fc.ops.conv_output_shape((1, *shape[:3]), (filters, channels, kh, kw), *shape[6:])[2:])
            gflops = 2e-9 * options.batch * channels * filters * kh * kw * int(pixels) / our_time
            print(
                f"{name:<22}{direction:<17}ours {our_time * 1e3:7.3f} ms ({gflops:4.0f} GF/s) · PyTorch "
                f"{their_time * 1e3:7.3f} ms · {spread(ratios)} · answers agree to {error:.0e}",
                flush=True,
            )
    everything = [ratio for ratios in medians.values() for ratio in ratios]
    for direction, ratios in [*medians.items(), ("all", everything)]:
        print(f"geometric mean, {direction:<17}{statistics.geometric_mean(ratios):.2f}x")


if __name__ == "__main__":
    main()
