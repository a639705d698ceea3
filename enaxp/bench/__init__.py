"""Measuring: schedule, runner, records, gates, histograms, effects."""
