"""Managed nodes: list them, tell which are online or stale, deregister."""
