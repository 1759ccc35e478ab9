"""Writes the parts of the manual that repeat what the code says, so that they cannot say anything else."""
