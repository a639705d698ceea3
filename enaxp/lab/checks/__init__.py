"""What is looked at before anything is made: permissions, quotas, given resources. `preflight.py` runs them side by side."""
