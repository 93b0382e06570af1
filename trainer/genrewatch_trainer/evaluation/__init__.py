"""Metrics of clips and of streams, and their reports."""
