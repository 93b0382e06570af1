"""What stands in for PortAudio where there is no microphone: its folder is put before others on PYTHONPATH."""
