"""`python -m genrewatch_export`, the same as `genrewatch-export`."""

import sys

from genrewatch_export.cli import main

if __name__ == "__main__":
    sys.exit(main())
