"""Airtime reports of the history, as rows and as a chart."""
