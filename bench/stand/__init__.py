"""What the benchmarks stand on: enrolment on a local cloud, and nodes that ask it as the bootstrap script does."""
