"""Corpora: feature stores, splits and how they are made."""
