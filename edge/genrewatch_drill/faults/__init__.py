"""The fault matrix: a row for each fault that a source or a disk can have."""
