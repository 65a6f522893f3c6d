"""The `edgeres` command: commands load when they are used, and every error becomes its documented exit code."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

from edgeres import __version__
from edgeres.errors import EdgeresError
from edgeres.printable import CleanFormatter, clean_lines
from edgeres.storage import storage_error

COMMANDS = {
    "demo": "edgeres.commands:demo",
    "models": "edgeres.commands:models",
    "data": "edgeres.commands:data",
    "train": "edgeres.commands:train",
    "inspect": "edgeres.commands:inspect",
    "convert": "converters.commands:convert",
    "sensitivity": "converters.commands:sensitivity",
    "evaluate": "targets.commands:evaluate",
    "profile": "targets.commands:profile",
    "targets": "targets.commands:targets",
    "devices": "targets.device_commands:devices",
    "verify": "targets.bundle_commands:verify",
    "sign": "targets.bundle_commands:sign",
    "check-preprocessing": "targets.bundle_commands:check_preprocessing",
    "check": "targets.result_commands:check",
    "compare": "targets.result_commands:compare",
    "history": "targets.result_commands:history",
    "report": "edgeres.commands:report",
    "embed": "converters.commands:embed",
}
"""Command name -> "module:attribute" of a click command, in the order in which a user meets them."""


INTERRUPTED = 130
"""The exit code after Ctrl-C."""


REMINDED_S = 0.5
"""So long after a signal, and again, it is looked whether it had any effect."""

_received: list[int] = []
"""The signals that came so far."""


class _Terminated(SystemExit):
    """A SIGTERM came."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name; nothing is imported."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which name comes nearest."""
        from edgeres.errors import suggestion

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"no such command '{args[0]}': {suggestion(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the command line; `--help` prints here."""
        with _typed_broken_pipe():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _typed_broken_pipe():
            return super().invoke(ctx)


class _OutputClosed(Exception):  # noqa: N818 - an event, not an error: `edgeres models | head` ends so
    """Who read our output has stopped reading."""


@contextmanager
def _typed_broken_pipe() -> Iterator[None]:
    """Keep a broken pipe from click, which would end the command with exit code 1 and no word."""
    try:
        yield
    except BrokenPipeError as error:
        standard = select.poll()
        for stream in (1, 2):
            standard.register(stream, 0)
        if standard.poll(0):  # a pipe without a reader reports an error without being asked
            raise _OutputClosed from None
        raise RuntimeError("a pipe to another process broke") from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-v", "--verbose", is_flag=True, help="Log what every step does, and show tracebacks.")
@click.version_option(__version__, prog_name="edgeres")
def cli(verbose: bool) -> None:
    """Take an image classifier from Keras to the edge, and measure what it cost.

    train -> prune -> quantize -> TFLite bundle -> measure on the target.
    """
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, stream=sys.stderr, force=True)
    logging.getLogger().handlers[0].setFormatter(CleanFormatter(logging.BASIC_FORMAT))
    logging.captureWarnings(True)
    # TensorFlow writes C++ start-up noise to stderr unless told before it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its documented code."""
    signal.signal(signal.SIGTERM, _unwind)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _unwind)
    codes: list[int] = []
    atexit.register(_skip_teardown, codes)
    try:
        code = run(arguments)
    except _Terminated as ended:
        _leave(ended.exit_code)
    except Exception:
        if not _received:
            raise
        code = 1  # TensorFlow makes an error of its own of what a signal raised while it called back into Python
        if signal.SIGINT in _received:
            click.echo("interrupted", err=True)
    if code and (_received or code == INTERRUPTED):
        _leave(128 + _received[0] if _received else INTERRUPTED)
    codes.append(code)
    sys.exit(code)


def _skip_teardown(codes: list[int]) -> None:
    """End without taking the interpreter apart, for which TensorFlow alone needs a second and more.

    A Ctrl-C that comes meanwhile would be lost. Registered before a command's modules are imported, it runs after all
    that they registered. Workers that train together take their leave of each other in the teardown.
    """
    if codes and "TF_CONFIG" not in os.environ:
        try:
            sys.stdout.flush()
        except OSError:
            return  # Python reports it
        _leave(codes[0])


def _leave(code: int) -> NoReturn:
    """End at once: the stack is unwound, and TensorFlow's threads can block an orderly exit for ever."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; a bug's traceback passes through."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verbose = "-v" in arguments[:1] or "--verbose" in arguments[:1]
    try:
        ended = cli.main(arguments, prog_name="edgeres", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        signal.setitimer(signal.ITIMER_REAL, 0)  # it has arrived: what is freed from here on is not to be disturbed
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except EdgeresError as error:
        return _report(error, verbose)
    except _OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return 0
    except OSError as error:
        if (typed := storage_error(error)) is None:
            raise
        return _report(typed, verbose)
    return ended if isinstance(ended, int) else 0  # click returns the code of a ctx.exit(code)


def _report(error: EdgeresError, verbose: bool) -> int:
    if verbose:
        logging.getLogger("edgeres").debug("where it came from", exc_info=error)
    click.echo(f"{click.style('error:', fg='red', bold=True)} {clean_lines(str(error))}", err=True)
    return error.exit_code


def _unwind(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a signal handler
    """Let Ctrl-C or a SIGTERM unwind the stack, so that temporary files and child processes go away.

    What is raised is raised again where it goes nowhere: libraries lose it, in a bare `except`, in a callback from
    native code.
    """
    _received.append(number)
    sys.unraisablehook = _unraised
    signal.signal(signal.SIGALRM, _remind)
    signal.setitimer(signal.ITIMER_REAL, REMINDED_S, REMINDED_S)
    _raise(number)


def _remind(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    """Raise it again, unless the stack is being unwound: cleaning up takes the time that it takes."""
    if sys.exc_info()[1] is None:
        _raise(_received[0])


def _unraised(lost: sys.UnraisableHookArgs) -> None:
    """Say nothing of a signal that met Python in a finalizer, where nothing can be raised: it is raised again."""
    if not issubclass(lost.exc_type, (KeyboardInterrupt, _Terminated)):
        sys.__unraisablehook__(lost)


def _raise(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else _Terminated(128 + number)
