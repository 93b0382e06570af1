"""The daemon: its configuration, a thread for each source, and the state of each source."""
