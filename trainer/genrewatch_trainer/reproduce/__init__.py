"""Reproduction of the paper: its network, its vote, its table II and its figures, by one command, with a report.

plan.py        the fits: splits, seeds, front ends
mfcc.py        MFCC from log-mel: as statistics of a clip, and as the network's input
baselines.py   table II: five classical classifiers on MFCC statistics
outcomes.py    a fit -> posteriors of its test clips, kept on disk
measures.py    ROC, risk and coverage, reliability, accuracy by duration
figures.py     one function per PNG
draw.py        the choice of figures and their data
summary.py     every number of the report as plain values
paper.py       the figures that the paper reports
report.py      summary -> Markdown
    tables.py      its tables
    markdown.py    numbers and tables as text
reproduce.py   all of it, resumable
"""
