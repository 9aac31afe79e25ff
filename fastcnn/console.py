"""What the command lines share: how they fail, and what they show while they work.

Exit codes: 0 done; 1 the cost became infinite or NaN; 2 options, data or folders that won't do; 130 interrupted by
Ctrl-C, 128 and its number by another signal of `fastcnn.signals.ENDING`. Each but the first comes with one line on
stderr and no traceback. Where the reader of a pipe goes away (``| head``) the command ends with 1 and says nothing.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fastcnn.data.download import Progress as DownloadProgress
from fastcnn.errors import FastcnnError
from fastcnn.metrics import BatchMetrics, EpochMetrics, in_json
from fastcnn.places import cache_dir
from fastcnn.signals import REPEATED, end_at_once, handle_ending
from fastcnn.terminal import Terminal, complain, give_up_unwritable_output, prepare_streams, say_json, width
from fastcnn.trainer import Callback, Trainer

DIVERGED, REFUSED = 1, 2
UNREAD = 1  # nobody reads the output any more; what rich ends with, too
SECONDS_TO_CLEAN_UP = 1.0

# What typer raises for options that it doesn't understand; click's, or that of the click inside newer typers.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def exit_code_of(command: Callable[[], int], to_save_memory: str = "use a smaller model, or less data") -> int:
    """Run a command; what it raises on purpose becomes a line on stderr and an exit code.

    Args:
        command: Returns the exit code where all is well.
        to_save_memory: What a person may do where memory runs out.
    """
    prepare_streams()
    code = 0
    try:
        code = command()
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, typer.Abort) as interrupt:  # typer's own, for a Ctrl-C while it looks at the options
        complain("interrupted")
        code = interrupted_code(interrupt)
    except UsageError as error:
        complain(f"error: {error.format_message().rstrip('.')}; see --help")  # type: ignore[attr-defined]
        code = REFUSED
    except FastcnnError as error:
        complain(f"error: {error}")
        code = REFUSED
    except BrokenPipeError:
        code = code or UNREAD
    except OSError as error:
        where = f" {error.filename!r}" if error.filename else ""
        complain(f"error: cannot read or write{where}: {error.strerror or error}")
        code = code or REFUSED  # of a command that is through, its own: it may be that of a signal
    except MemoryError as error:
        complain(f"error: not enough memory ({error}); {to_save_memory}")
        code = REFUSED
    give_up_unwritable_output()
    return code


def options_of(app: typer.Typer, arguments: Sequence[str] | None, program: str) -> Any:
    """What an app made of its arguments; None where --help or --version is all that was wanted.

    Raises:
        KeyboardInterrupt: for one that came meanwhile, which typer turns into an exit code.
    """
    made = app(
        arguments,
        prog_name=program,
        standalone_mode=False,
        help_option_names=["-h", "--help"],
        terminal_width=width(),
    )
    if isinstance(made, int) and made > 128:
        raise KeyboardInterrupt(made - 128)
    return None if isinstance(made, int) else made


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run a command line as all that this process does: to an exit code also where it is interrupted."""
    try:
        heed_signals()
        code = main()
        handle_ending(end_at_once)
    except KeyboardInterrupt as interrupt:  # just before or after what `exit_code_of` looks after
        code = interrupted_code(interrupt)
    sys.exit(code)


def heed_signals() -> None:
    """Let the signals of `fastcnn.signals.ENDING` end this process as Ctrl-C does: by a KeyboardInterrupt.

    It holds the signal's number. A signal soon after another changes nothing: it would only disturb the cleaning up.
    Nor does one that the kernel repeats by itself.
    """
    first = -math.inf
    heard = set()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal first
        news = number != REPEATED or number not in heard
        heard.add(number)
        if news and time.monotonic() - first > SECONDS_TO_CLEAN_UP:
            first = time.monotonic()
            raise KeyboardInterrupt(number)

    handle_ending(interrupt)


def interrupted_code(interrupt: BaseException) -> int:
    """The exit code after an interrupt: 128 and the number of the signal, Ctrl-C's if it holds none."""
    return 128 + int(*interrupt.args or (signal.SIGINT,))


@contextmanager
def downloads_shown(console: Terminal) -> Iterator[DownloadProgress]:
    """A function to tell how a download goes: names each server, then shows a bar a file, or a line for want of one."""
    bars = Progress(
        TextColumn("downloading {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not _shows_bars(console),
    )
    hosts = set()
    tasks = {}

    def progress(url: str, received: int, total: int) -> None:
        host, name = urlsplit(url).hostname, url.rpartition("/")[2]
        if host not in hosts:
            hosts.add(host)
            console.print(f"looking for MNIST at {host}")
        if not received:
            return
        if name not in tasks:
            bars.start()
            tasks[name] = bars.add_task(name)
            if bars.disable:
                console.print(f"downloading {name}")
        bars.update(tasks[name], completed=received, total=total or None)

    try:
        yield progress
    finally:
        bars.stop()


class TrainingReport(Callback):
    """Prints a line per epoch and, on a terminal, shows a bar with the speed and the time left.

    Args:
        console: Where to.
    """

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[speed]} images/s, ETA", markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not _shows_bars(console),
            refresh_per_second=4,
        )

    def on_start(self, trainer: Trainer) -> None:
        self.console.print("epoch      cost    moving  train acc   test acc  seconds  images/s")
        self.images = trainer.samples_in_epoch or 0
        done = trainer.progress.epoch * self.images + trainer.progress.samples
        self.task = self.bar.add_task("", total=trainer.last_epoch * self.images, completed=done, speed="?")
        self._describe(trainer, trainer.progress.epoch + 1)
        self.bar.start()

    def on_end(self, trainer: Trainer) -> None:
        with suppress(OSError):  # the terminal may be gone, which is no reason not to keep the run
            self.bar.stop()

    def on_compile(self, trainer: Trainer, done: int, total: int) -> None:
        self.bar.update(self.task, description=f"{done} of {total} GPU kernels compiled")

    def on_batch(self, trainer: Trainer, metrics: BatchMetrics) -> None:
        self._describe(trainer, metrics.epoch)
        done = (metrics.epoch - 1) * self.images + metrics.samples
        self.bar.update(self.task, completed=done, speed=f"{metrics.images_per_second:,.0f}")

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        speed = f"{metrics.images_per_second:,.0f}" if metrics.images_per_second else "-"  # resumed after its last step
        self.console.print(
            f"{metrics.epoch:5}  {metrics.cost:8.6f}  {metrics.moving_loss:8.6f}  {metrics.train_accuracy:9.2%}  "
            f"{metrics.test_accuracy:9.2%}  {metrics.seconds:7.1f}  {speed:>8}"
        )

    def _describe(self, trainer: Trainer, epoch: int) -> None:
        self.bar.update(self.task, description=f"epoch {epoch}/{trainer.last_epoch}")


class CompileReport(Callback):
    """Says on stderr why the first step keeps one waiting."""

    def on_compile(self, trainer: Trainer, done: int, total: int) -> None:
        if not done:
            self.started = time.monotonic()
            folder = cache_dir()
            kept = f"they are kept in {str(folder)!r}" if folder else "set FASTCNN_CACHE_DIR to a folder to keep them"
            complain(f"compiling {total} kernels for the GPU; {kept}")
        elif done == total:
            complain(f"compiled in {time.monotonic() - self.started:.0f} s")


class JsonReport(Callback):
    """Prints JSON, an object a line: a dict with the key ``event`` first, ``"epoch"`` after each epoch."""

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        self.tell("epoch", **in_json(metrics))

    def tell(self, event: str, **entries: Any) -> None:
        """Print an object, at once."""
        say_json({"event": event} | entries)


def _shows_bars(console: Terminal) -> bool:
    return console.is_interactive and not console.quiet
