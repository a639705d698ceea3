"""The provisioner: spec, survey, plan, apply, sweep of the AWS resources of a lab. It does not depend on the bench."""
