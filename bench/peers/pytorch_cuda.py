"""PyTorch on the GPU: eager, compiled for CUDA graphs, and a step captured as one by hand.

All batches lie on the GPU as floats, ready-made; fastcnn makes its own from bytes in each step. Costs are read after
all steps of a call. A variant whose name ends in -tf32 may round factors to TF32; the others may not. cuDNN tries its
algorithms out, which is PyTorch's fastest way.
"""

from collections.abc import Callable

import torch

from peers.job import Job
from peers.pytorch import prepared, rmsprop

STEPS = 100  # of a call, as fastcnn's
WARM_UP = 3  # steps before a capture, as PyTorch's guide has it


def start(variant: str, threads: int) -> str:
    if not torch.cuda.is_available():
        raise RuntimeError(f"PyTorch {torch.__version__} sees no GPU")
    torch.set_num_threads(threads)
    tf32 = variant.endswith("-tf32")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    cudnn = torch.backends.cudnn
    flags = {"cudnn.allow_tf32": cudnn.allow_tf32, "matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32}
    flags["cudnn.benchmark"] = cudnn.benchmark
    return ", ".join([f"PyTorch {torch.__version__}", *(f"{name} {value}" for name, value in flags.items())])


def train(variant: str, job: Job, dropout: bool, device: str = "cuda") -> Callable[[int], list[float]]:
    model, images, targets = prepared("torch", job, dropout)
    model.to(device)
    images, targets = ([array.to(device) for array in arrays] for arrays in (images, targets))
    parameters = list(model.parameters())
    averages = [torch.zeros_like(parameter) for parameter in parameters]
    update = rmsprop(job, parameters, averages)
    costs = torch.zeros(STEPS, device=device)
    kind = variant.removesuffix("-tf32")

    def cost_of(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return -(target * torch.log_softmax(model(x), 1)).sum() / job.divisor

    forward = torch.compile(cost_of, mode="reduce-overhead") if kind == "torch-compile" else cost_of

    def step(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if kind == "torch-compile":
            torch.compiler.cudagraph_mark_step_begin()
        cost = forward(x, target)
        for parameter in parameters:
            parameter.grad = None
        cost.backward()
        update()
        return cost.detach()

    take = captured(step, [*parameters, *averages], images[0], targets[0]) if kind == "torch-graph" else step

    def work(index: int) -> list[float]:
        for number in range(STEPS):
            place = (index + number) % len(images)
            costs[number].copy_(take(images[place], targets[place]))
        return costs.tolist()

    return work


def captured(
    step: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    state: list[torch.Tensor],
    x: torch.Tensor,
    target: torch.Tensor,
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A step as one CUDA graph. What the warm-up changes of its state is put back."""
    before = [tensor.detach().clone() for tensor in state]
    own_x, own_target = x.clone(), target.clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            step(own_x, own_target)
    torch.cuda.current_stream().wait_stream(aside)
    with torch.no_grad():
        for tensor, values in zip(state, before, strict=True):
            tensor.copy_(values)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        cost = step(own_x, own_target)

    def replay(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        own_x.copy_(x)
        own_target.copy_(target)
        graph.replay()
        return cost

    return replay
