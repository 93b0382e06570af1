"""What stands in for a clock that somebody sets: its folder is put before others on PYTHONPATH."""
