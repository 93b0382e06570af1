"""Distillation: crops, teacher programs, their targets, and the readout fitted on the taught network."""
