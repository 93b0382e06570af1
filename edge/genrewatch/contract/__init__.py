"""Definitions that training, export and device share; numpy and the standard library only."""
