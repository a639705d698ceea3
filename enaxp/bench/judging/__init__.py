"""Judging: from the records of a run to gates, effects and verdicts. Pure."""
