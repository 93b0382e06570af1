"""A fake wall clock; this directory goes first on PYTHONPATH."""
