"""The rights that API calls need, one module per group of services."""
