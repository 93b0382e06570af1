"""`python -m genrewatch` is `genrewatch`."""

import sys

from genrewatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
