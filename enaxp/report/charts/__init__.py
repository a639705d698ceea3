"""The charts of a report: their Vega-Lite specifications, and `vega.py`, which draws them."""
