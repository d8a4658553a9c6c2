"""The command line `motifs`: one thin command per stage and per question."""

from __future__ import annotations

import os
import sys

from attention_motifs.errors import BROKEN_PIPE, STOPPED


def main() -> None:
    """Run the command line. A user's mistake prints one line and ends with its exit code."""
    try:
        code = _run()
    except KeyboardInterrupt:  # while the program itself was being loaded
        code = STOPPED
    if code == STOPPED:
        print("stopped; run the same command again to continue", file=sys.stderr, flush=True)
        # Threads in native kernels of long prompts would delay a normal exit by many seconds.
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    from attention_motifs.cli import console
    from attention_motifs.cli.application import app, load_command
    from attention_motifs.errors import InputError, MotifsError, ResourceError

    console.escape_unencodable()
    console.show_warnings_in_one_line()
    load_command(sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        code = app(prog_name="motifs", standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except MotifsError as error:
        console.print_error(str(error))
        return error.exit_code
    except MemoryError as error:
        detail = f" ({' '.join(str(error).split())})" if str(error) else ""
        console.print_error(f"the memory is full{detail}; ask for less, or close other programs")
        return ResourceError.exit_code
    except BrokenPipeError:
        console.discard_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        console.print_error(_os_error(error))
        return ResourceError.exit_code
    except BaseException as error:
        if _is_exhausted(error):
            console.print_error(_EXHAUSTED.format(" ".join(str(error).split())[:200]))
            return ResourceError.exit_code
        usage = _usage(error)
        if usage is None:
            raise
        if usage:
            console.print_error(usage)
        return InputError.exit_code
    return int(code)


_EXHAUSTED = (
    "a library stopped ({}): memory or threads may be exhausted. Close other programs, and run the "
    "same command again"
)


def _is_exhausted(error: BaseException) -> bool:
    """Return whether a library stopped, as it does without memory for another thread."""
    # Panics of polars and safetensors are no `Exception`.
    return type(error).__name__ == "PanicException" or "can't start new thread" in str(error)


def _os_error(error: OSError) -> str:
    """Return the message for a file that cannot be read or written."""
    name = "output" if error.filename is None else str(error.filename)
    return f"{name}: {error.strerror}; check the path, its permissions and the free space"


def _usage(error: BaseException) -> str | None:
    """Return what was wrong with the command line, or None for errors that typer does not know.

    The text is empty where typer has printed the help of a command without arguments.
    """
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    message = format_message().strip().removesuffix(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "motifs"
    return f"{message}; see `{command} --help`" if message else ""
