"""Segments to verdicts: the TFLite runtime, the classifier, its golden vectors and the pipeline that joins them."""
