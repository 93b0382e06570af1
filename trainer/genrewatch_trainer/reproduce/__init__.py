"""The paper, done again in full: its network, its vote, its table II and its figures, by one command, with a report.

plan.py        which fits there are: splits, seeds, front ends
mfcc.py        MFCC from log-mel: as statistics of a clip, and as the network's input
baselines.py   table II: five classical classifiers on MFCC statistics
outcomes.py    a fit -> posteriors of the clips that it never saw, kept on disk
measures.py    ROC, risk and coverage, reliability, accuracy by seconds heard
figures.py     how each PNG is drawn
    draw.py        which are drawn, of what
summary.py     every figure of the report as plain values
report.py      summary -> Markdown
reproduce.py   all of it, resumable
"""
