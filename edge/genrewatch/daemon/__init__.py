"""The daemon: its configuration, a thread and a state for each source, health and commands."""
