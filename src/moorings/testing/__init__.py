"""For tests of one's own runbooks, hooks and bootstrap scripts: a pytest plugin over the local cloud."""
