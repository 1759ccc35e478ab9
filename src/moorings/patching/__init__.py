"""Patching with rollback: checkpoint, patch, look at the evidence, and put the VM back if it is bad."""
