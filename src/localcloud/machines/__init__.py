"""Servers that boot: disks of real files, a real shell, and an agent that speaks the real agent's protocol."""
