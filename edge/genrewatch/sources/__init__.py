"""Sources of sound. Every source is an iterator of blocks; its URI says which one it is.

This package imports nothing by itself, so that the microphone's child process stays small.
"""
