"""What enaxp costs, measured: `python -m selfcheck` (or `make selfcheck`). Ratios of one run; absolute figures are goals to look at."""
