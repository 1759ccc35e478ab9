"""What each `aws:` action of a runbook does, one module an action."""
