"""Sources of sound. Each is an iterator of blocks and is chosen by its URI.

This package imports nothing itself, so that the microphone's child process stays small.
"""
