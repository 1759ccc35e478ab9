"""`moorings demo`: what it does, and what it shows meanwhile."""
