"""Monitor: a bench as Prometheus sees it, while it runs and afterwards."""
