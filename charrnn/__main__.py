"""Entry point of the command line."""

import os
import signal
import sys

INTERRUPTED = 130  # exit code of a command ended by Ctrl-C, as in shells


def run() -> None:
    """Run the command line and exit; Ctrl-C during start-up ends it without a traceback."""
    by_python = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if by_python:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from charrnn.cli import main
    from charrnn.cli.torchrun import several

    if by_python:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main()
    if code == INTERRUPTED or several():
        # Exit at once: finalizing a process that has loaded torch takes half a second, and a SIGINT
        # received while torch was loading would make Python die by that signal. Of processes that
        # train together, finalizing aborts some, as threads of torch.distributed still run.
        from contextlib import suppress

        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
