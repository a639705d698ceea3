"""Rules for the words of a run that are tried by simulation before the bench takes them. The bench has simpler ones of its own.

inference.py      log ratios of a run's primaries ─▶ words by Holm's procedure, intervals, ranks where messages were lost
lost.py           trials and their lost messages ─▶ quantiles over all messages that wanted a reply
loss.py           how many messages were lost, with an interval
randomisation.py  did SRD do anything in this run, by the order of the trials alone
codes.py          what was found ─▶ the code of a figure, and of a scenario's primaries together
"""
