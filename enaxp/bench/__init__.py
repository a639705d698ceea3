"""The measurement: schedule, runner, records, gates, histograms, statistics, verdict, comparison."""
