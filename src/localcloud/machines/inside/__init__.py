"""What runs inside a machine's namespaces: the warm process that forks machines, and each machine's init.

Nothing here imports the local cloud's server side: these processes must stay small, and the simulated agent that they
run shares no code with the services it talks to.
"""
