"""Adaptation of a bundle: its body stays, its head is fitted again on labelled clips; no run and no Keras is needed."""
