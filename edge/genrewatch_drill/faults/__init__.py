"""The fault matrix: a row for each fault of a source, all played at once in one daemon."""
