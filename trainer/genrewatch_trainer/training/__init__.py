"""Recipes, the network, the input pipeline and the training loop."""
