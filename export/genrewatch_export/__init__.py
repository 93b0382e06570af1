"""From a run to a bundle: quantize, compare through the device's own classifier, calibrate, prove, write."""
