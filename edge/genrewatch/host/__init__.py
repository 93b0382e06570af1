"""What the device needs of the machine: paths, the node id, the persistent state, child processes, sensors."""
