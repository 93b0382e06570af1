"""The drill: every fault that a source can have is played against the real daemon, and what it says is checked.

The daemon, its children, the broker and the radio station are real; what misbehaves is a small program or server of
our own, at a time that is written down, so that the daemon's answer can be held against what has really happened.
"""
