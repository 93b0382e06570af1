"""The equipment of drills: the daemon under test, subscribers, the messages and records received, and their checks."""
