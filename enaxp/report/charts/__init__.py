"""The charts of a report: what each looks like, as Vega-Lite specifications, and `vega.py`, which draws them."""
