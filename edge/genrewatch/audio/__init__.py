"""Bytes and files to mono samples at the bundle's rate, and samples to overlapping segments with their level."""
