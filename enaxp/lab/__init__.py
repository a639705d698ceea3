"""What is built on AWS: spec, survey, plan, apply, sweep. Knows nothing of the bench."""
