"""Starts the command line."""

import os
import signal
import sys

INTERRUPTED = 130


def run() -> None:
    """Run the command line and exit; Ctrl-C ends it without a traceback while it still loads."""
    by_python = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if by_python:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from charrnn.cli import main

    if by_python:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main()
    if code == INTERRUPTED:
        # At once: tidying up a process that has loaded torch takes half a second, and Python would
        # end by the signal where it came while torch was loaded.
        from contextlib import suppress

        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
