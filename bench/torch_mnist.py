"""The Gorgonia network trained on MNIST by PyTorch: what time_to_accuracy.py holds fastcnn's command line to.

    python bench/torch_mnist.py FOLDER SETTINGS THREADS

FOLDER has the four IDX files, not packed; SETTINGS are those of `fastcnn.recipes.Settings`, as JSON. Prints a JSON
object after each epoch. Written as one would who is in a hurry: all images lie in one tensor of floats, a batch is one
gather, optimizers are fused, nothing is logged within an epoch. Of fastcnn nothing is imported: its start would count.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class GorgoniaRMSprop(torch.optim.Optimizer):
    """RMSprop with its eps inside the root, which torch.optim.RMSprop has outside; all parameters in each call."""

    def __init__(self, parameters, lr: float, decay: float, eps: float):
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": eps})
        for group in self.param_groups:
            group["averages"] = [torch.zeros_like(parameter) for parameter in group["params"]]

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            gradients = [parameter.grad for parameter in group["params"]]
            torch._foreach_mul_(group["averages"], group["decay"])
            torch._foreach_addcmul_(group["averages"], gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(group["averages"], group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(group["params"], gradients, roots, -group["lr"])


def network(dropout: bool) -> nn.Sequential:
    def block(channels: int, filters: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2)]

    def drop(p: float) -> list[nn.Module]:
        return [nn.Dropout(p)] if dropout else []

    layers = [
        *block(1, 32), *drop(0.2), *block(32, 64), *drop(0.2), *block(64, 128), nn.Flatten(), *drop(0.2),
        nn.Linear(1152, 625, bias=False), nn.ReLU(), *drop(0.55), nn.Linear(625, 10, bias=False),
    ]  # fmt: skip
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight)
    return nn.Sequential(*layers)


def read(folder: Path, part: str, settings: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(N, 1, 28, 28)`` as floats, and labels."""
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
    pixels = torch.from_numpy(images).float().div_(255)
    if settings["scaling"] == "standard":
        pixels.sub_(0.1307).div_(0.3081)
    elif settings["scaling"] == "gorgonia":
        pixels.mul_(0.9).add_(0.1).masked_fill_(pixels == 1, 0.999)
    return pixels, torch.from_numpy(labels).long()


def targets_of(labels: torch.Tensor, form: str) -> torch.Tensor:
    rows = {
        "soft": torch.full((10, 10), 0.1).fill_diagonal_(0.9),
        "smooth": torch.full((10, 10), 0.01).fill_diagonal_(0.91),
    }
    return rows[form][labels]


@torch.no_grad()
def accuracy(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    batches = zip(images.split(1000), labels.split(1000), strict=True)
    right = sum((model(x).argmax(1) == y).sum().item() for x, y in batches)
    model.train()
    return right / len(labels)


def main() -> None:
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    torch.manual_seed(settings["seed"])
    images, labels = read(folder, "train", settings)
    test_images, test_labels = read(folder, "t10k", settings)
    targets = targets_of(labels, settings["targets"])
    model = network(settings["dropout"])
    scheduler = None
    lr, batch, epochs = settings["lr"], settings["batch_size"], settings["epochs"]
    if settings["optimizer"] == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr, eps=settings["eps"], fused=True)
    else:
        optimizer = GorgoniaRMSprop(model.parameters(), lr, settings["decay"], settings["eps"])
    if settings["schedule"] == "one-cycle":
        steps = epochs * math.ceil(len(labels) / batch)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, lr, steps, pct_start=settings["warmup"], anneal_strategy="linear", cycle_momentum=False
        )
    divisor = 10 if settings["reduction"] == "mean_elements" else 1
    for epoch in range(1, epochs + 1):
        for which in torch.randperm(len(labels)).split(batch):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images[which]), targets[which]) / divisor
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
        shown = {"event": "epoch", "epoch": epoch, "test_accuracy": accuracy(model, test_images, test_labels)}
        print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
