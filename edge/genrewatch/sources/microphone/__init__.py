"""The child process of a microphone (PortAudio and the standard library only), and the list of microphones.

The modules that the child imports import no numpy, so that a child is small. A crash ends only that child.
"""
