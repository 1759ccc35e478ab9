"""A local cloud: AWS (and later Azure) endpoints and simulated servers on loopback, for one process and no account."""
