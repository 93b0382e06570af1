"""`python -m genrewatch_trainer`, the same as `genrewatch-train`."""

import sys

from genrewatch_trainer.cli import main

if __name__ == "__main__":
    sys.exit(main())
