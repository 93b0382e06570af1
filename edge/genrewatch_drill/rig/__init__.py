"""What the drill tests with: the daemon under test, real servers, subscribers and records of what happened."""
