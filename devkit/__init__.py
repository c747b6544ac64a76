"""The parts of `dev`, each in a module of its own. Python's standard library only."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  what makes it the minimum
    sys.exit("dev: Python 3.10 or newer is needed: python3.10 ./dev …")
