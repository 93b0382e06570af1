"""Segments to verdicts: TFLite runtime, classifier, golden vectors and the pipeline."""
