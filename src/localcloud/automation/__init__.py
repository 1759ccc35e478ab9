"""A runtime for SSM Automation documents (schema 0.3): runbooks run as the service runs them, against any endpoint."""
