"""What runs in a microphone's own process: PortAudio and the standard library, so that it is small and falls alone."""
