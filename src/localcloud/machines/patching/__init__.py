"""The patch program of simulated servers: what lacks, what installing does, and the report of it."""
