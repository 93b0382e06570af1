"""Backup of a node into one archive while its daemon runs, and its restoration onto another card."""
