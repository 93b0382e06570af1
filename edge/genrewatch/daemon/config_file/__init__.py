"""The configuration file as text: its keys with their meanings, an example, its faults, and where each value is set."""
