"""What `genrewatch` can be asked to do, a module each."""
