"""Airtime reports from the history, as rows and as an image."""
