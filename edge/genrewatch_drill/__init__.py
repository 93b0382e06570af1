"""Fault injection: each fault that a source, a broker or a disk can have is played against the real daemon.

The daemon, its child processes, the broker and the radio station are real. Small programs and servers misbehave at
known times, so that what the daemon publishes can be compared with what happened.
"""
