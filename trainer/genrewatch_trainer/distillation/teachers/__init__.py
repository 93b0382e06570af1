"""Teacher programs for `genrewatch-train teach`, around networks that others have published and trained."""
