"""Run Command: commands sent to managed nodes, their invocations, and the messages by which they get there."""
