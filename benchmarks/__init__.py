"""What enaxp costs, measured: `python -m benchmarks` (or `make bench`). Ratios of one run count; absolute figures are goals to look at."""
