"""PyTorch on the CPU: eager, channels_last, compiled, and bfloat16.

bfloat16 trains under autocast, as PyTorch's guide has it. For inference the whole model is cast once, which is faster.
Optimizers are PyTorch's fused ones; Gorgonia's RMSprop, which has its eps inside the root, takes multi-tensor calls.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from peers.job import Job


def start(variant: str, threads: int) -> str:
    torch.set_num_threads(threads)
    return f"PyTorch {torch.__version__}"


def infer(variant: str, job: Job) -> Callable[[int], torch.Tensor]:
    model, images, _ = prepared(variant, job, dropout=False)
    model.eval()
    if variant == "torch-bf16":
        model.to(torch.bfloat16)
        images = [image.to(torch.bfloat16) for image in images]
    forward = torch.compile(model) if variant == "torch-compile" else model

    def work(index: int) -> torch.Tensor:
        with torch.inference_mode():
            return forward(images[index]).float()

    return work


def train(variant: str, job: Job, dropout: bool) -> Callable[[int], float]:
    model, images, targets = prepared(variant, job, dropout)
    parameters = list(model.parameters())
    update = _optimizer(job, parameters)
    half = torch.autocast("cpu", torch.bfloat16) if variant == "torch-bf16" else contextlib.nullcontext()

    def cost_of(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        with half:
            logits = model(x)
        return -(target * torch.log_softmax(logits.float(), 1)).sum() / job.divisor

    if variant == "torch-compile":
        cost_of = torch.compile(cost_of)

    def work(index: int) -> float:
        cost = cost_of(images[index], targets[index])
        for parameter in parameters:
            parameter.grad = None
        cost.backward()
        update()
        return cost.item()

    return work


def prepared(variant: str, job: Job, dropout: bool) -> tuple[nn.Module, list[torch.Tensor], list[torch.Tensor]]:
    layers = []
    for name, arguments, weights in job.parts(dropout):
        known = {key: value for key, value in arguments.items() if key != "algorithm"}
        layer = getattr(nn, name)(**known)
        for parameter, values in zip(layer.parameters(), weights, strict=True):
            parameter.data = torch.from_numpy(values.copy())
        layers.append(layer)
    model = nn.Sequential(*layers)
    images = [torch.from_numpy(image) for image in job.images]
    if variant in ("torch-channels-last", "torch-bf16"):
        model.to(memory_format=torch.channels_last)
        images = [image.to(memory_format=torch.channels_last) for image in images]
    return model, images, [torch.from_numpy(target) for target in job.targets]


def _optimizer(job: Job, parameters: list[nn.Parameter]) -> Callable[[], object]:
    if job.optimizer != "RMSprop":
        return getattr(torch.optim, job.optimizer)(parameters, **job.settings, fused=True).step
    return rmsprop(job, parameters, [torch.zeros_like(parameter) for parameter in parameters])


def rmsprop(job: Job, parameters: list[nn.Parameter], averages: list[torch.Tensor]) -> Callable[[], object]:
    lr, decay, eps = (job.settings[name] for name in ("lr", "decay", "eps"))

    @torch.no_grad()
    def update() -> None:
        grads = [parameter.grad for parameter in parameters]
        torch._foreach_mul_(averages, decay)
        torch._foreach_addcmul_(averages, grads, grads, 1 - decay)
        scales = torch._foreach_add(averages, eps)
        torch._foreach_sqrt_(scales)
        torch._foreach_addcdiv_(parameters, grads, scales, -lr)

    return update


def allocations(step: Callable[[], object]) -> dict[str, int]:
    """Blocks that tensors asked of malloc during a step, by PyTorch's profiler; it keeps no cache on the CPU."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    return {"blocks": sum(e["name"] == "[memory]" and e["args"]["Bytes"] > 0 for e in events)}
