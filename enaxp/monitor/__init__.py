"""Monitor: a bench's metrics for Prometheus, during and after a run."""
