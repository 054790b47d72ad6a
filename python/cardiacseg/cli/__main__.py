"""``python -m cardiacseg.cli``."""

import sys

from cardiacseg.cli import main

sys.exit(main())
