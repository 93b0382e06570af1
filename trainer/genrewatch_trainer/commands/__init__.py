"""The commands of `genrewatch-train`, a module each: `add_parser` declares its options, `run` carries it out."""
