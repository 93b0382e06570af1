"""A fake PortAudio for machines without a microphone; this directory goes first on PYTHONPATH."""
