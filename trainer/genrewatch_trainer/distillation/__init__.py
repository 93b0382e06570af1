"""Distillation: crops, teacher programs, their targets, and the readout fitted on a distilled network."""
