"""The sinks, which publish, keep or print verdicts."""
