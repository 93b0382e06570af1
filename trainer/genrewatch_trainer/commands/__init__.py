"""The subcommands of `genrewatch-train`, a module each."""
