"""The commands of `genrewatch`, a module each: `add_arguments(parser)` and `run(args) -> exit code`."""
