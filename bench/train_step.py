"""Training and inference throughput of the Gorgonia network against PyTorch: same network, same step, interleaved.

    pip install ".[bench]" && python bench/train_step.py [--threads 2] [--batch 100] [--rounds 9]

A step is forward with dropout, softmax cross-entropy against 0.9/0.1 targets averaged over all entries, backward, and
one RMSprop update (Gorgonia's hyper-parameters). Without dropout, both start from the same weights and must agree on
the first costs before anything is timed. A ratio above 1 means that fastcnn is faster.
"""

import argparse

import numpy as np
import torch
from peers import interleave, spread, use_threads
from torch import nn

import fastcnn as fc


def torch_network(dropout: bool) -> nn.Sequential:
    def block(channels: int, filters: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2)]

    def drop(p: float) -> list[nn.Module]:
        return [nn.Dropout(p)] if dropout else []

    return nn.Sequential(
        *block(1, 32), *drop(0.2), *block(32, 64), *drop(0.2), *block(64, 128), nn.Flatten(), *drop(0.2),
        nn.Linear(1152, 625, bias=False), nn.ReLU(), *drop(0.55), nn.Linear(625, 10, bias=False),
    )  # fmt: skip


class TorchStep:
    """PyTorch's network with Gorgonia's RMSprop (eps inside the root), updated by fused multi-tensor calls."""

    def __init__(self, dropout: bool, weights: list[np.ndarray]):
        self.model = torch_network(dropout)
        self.parameters = list(self.model.parameters())
        self.averages = [torch.zeros_like(p) for p in self.parameters]
        with torch.no_grad():
            for parameter, values in zip(self.parameters, weights, strict=True):
                parameter.copy_(torch.from_numpy(values))

    def __call__(self, x: torch.Tensor, target: torch.Tensor) -> float:
        cost = -(target * torch.log_softmax(self.model(x), 1)).mean()
        for parameter in self.parameters:
            parameter.grad = None
        cost.backward()
        with torch.no_grad():
            grads = [parameter.grad for parameter in self.parameters]
            torch._foreach_mul_(self.averages, 0.999)
            torch._foreach_addcmul_(self.averages, grads, grads, 0.001)
            scales = torch._foreach_add(self.averages, 1e-8)
            torch._foreach_sqrt_(scales)
            torch._foreach_addcdiv_(self.parameters, grads, scales, -0.001)
        return float(cost.detach())


class OurStep:
    def __init__(self, dropout: bool):
        self.model = fc.models.gorgonia(dropout=dropout)
        self.loss = fc.CrossEntropyLoss(reduction="mean_elements")
        self.optimizer = fc.RMSprop(self.model.parameters())

    def __call__(self, x: np.ndarray, target: np.ndarray) -> float:
        return fc.train_step(self.model, self.loss, self.optimizer, x, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    use_threads(options.threads, options.batch)
    digits = fc.data.load_dataset("sample")
    x = fc.data.scale_pixels(digits.train_images[: options.batch], "gorgonia", "float32")
    target = fc.data.soft_targets(digits.train_labels[: options.batch], "float32")
    tx, tt = torch.from_numpy(x), torch.from_numpy(target)

    plain = OurStep(dropout=False)
    plain_torch = TorchStep(False, [parameter.data.copy() for parameter in plain.model.parameters()])
    costs = [(plain(x, target), plain_torch(tx, tt)) for _ in range(5)]
    error = max(abs(a - b) / abs(b) for a, b in costs)
    if error > 1e-4:
        raise SystemExit(f"the first costs differ by {error:.1e}: not worth timing ({costs})")

    ours = OurStep(dropout=True)
    theirs = TorchStep(True, [parameter.data.copy() for parameter in ours.model.parameters()])

    def infer() -> None:
        with torch.no_grad():
            plain_torch.model(tx)

    rows = [
        ("train", lambda: ours(x, target), lambda: theirs(tx, tt)),
        ("infer", lambda: plain.model(x), infer),
    ]
    for name, our_work, their_work in rows:
        our_time, their_time, ratios = interleave(our_work, their_work, options.rounds, repeats=7)
        print(
            f"{name}: ours {our_time * 1e3:.2f} ms ({options.batch / our_time:,.0f} images/s) · "
            f"PyTorch {their_time * 1e3:.2f} ms ({options.batch / their_time:,.0f}) · {spread(ratios)} · "
            f"first 5 costs agree to {error:.0e}"
        )


if __name__ == "__main__":
    main()
