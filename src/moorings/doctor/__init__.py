"""The doctor: what stands in the way of a deployment, or has gone wrong with one, and the one command that mends it."""
