"""The machine that the device runs on: child processes, paths, node id, persistent state, sensors, text."""
