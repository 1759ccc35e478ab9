"""Proofs of who a machine is: bytes in, verified claims out. Anchors and the time are handed in; nothing is fetched."""
