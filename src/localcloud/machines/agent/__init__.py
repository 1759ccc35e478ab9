"""A simulated SSM agent: what the real one's hybrid mode says and writes, held to recordings of the real one.

It shares no code with the emulated services. It has no plugins: it registers, keeps its token, heartbeat and message
poll, and declines every message that it gets. Source of its rules: the project's page on the agent's wire protocol.
"""
