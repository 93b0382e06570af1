"""`python -m edge` is `genrewatch`."""

import sys

from edge.cli import main

if __name__ == "__main__":
    sys.exit(main())
