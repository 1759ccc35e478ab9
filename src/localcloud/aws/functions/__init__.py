"""Lambda functions that run: the deployed zip under AWS's own runtime interface client, in real processes."""
