#!/usr/bin/env python3
"""As ``cardiacseg build-engine``, with its options."""

import sys

from cardiacseg.cli import main

if __name__ == "__main__":
    sys.exit(main(["build-engine", *sys.argv[1:]]))
