"""The figures that the paper itself reports, beside which the report sets its own."""

CNN_VOTE_PERCENT = 85.3
"""Table II: accuracy of its network by majority vote."""
CLASSIFIERS_PERCENT = {
    "KNN": 68.70,
    "decision tree": 62.73,
    "random forest": 65.70,
    "SVM": 61.28,
    "logistic regression": 68.31,
}
"""Table II: accuracy of its five classical classifiers on MFCC statistics."""
CNN_SINGLE_PERCENT = 75
"""Text on its confusion matrix: accuracy of a single prediction, without the vote."""
BLUES_RECALL_PERCENT = 35
"""Text on its confusion matrix: recall of blues."""
CONFUSIONS = (
    "blues mostly as jazz and rock",
    "half of the errors of reggae as hip-hop and half of those of hip-hop as reggae",
    "blues and country as rock",
)
"""Text on its confusion matrix: most frequent errors."""
ITERATIONS, BATCH, EPOCHS, GPU = 2180, 32, 100, "one GTX 1660 Ti"
"""Text on its training; 2,180 batches of 32 in 100 epochs are one crop per training clip and epoch."""
