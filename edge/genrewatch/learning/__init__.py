"""Learning on the device: a new head from a bundle's summary and corrected spells, and the bundles to choose from."""
