"""From labelled clips to a trained network: feature stores, recipes, runs and honest figures."""
