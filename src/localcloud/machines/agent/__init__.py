"""A simulated SSM agent: what the real one's hybrid mode says, runs and writes, held to recordings of the real one.

It shares no code with the emulated services. It registers, keeps its token and heartbeat, and runs documents of type
Command that come by the control channel or by ec2messages. Source of its rules: the project's page on the agent's wire
protocol.
"""
