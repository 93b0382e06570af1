"""From a run to a bundle: quantize, calibrate, compare through the device's own classifier, verify, write."""
