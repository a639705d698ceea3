"""The checks before anything is created: permissions, quotas, given resources. `preflight.py` runs them in parallel."""
