"""What training, export and device must agree on; numpy and the standard library alone."""
