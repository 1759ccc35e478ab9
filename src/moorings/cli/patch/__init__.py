"""`moorings patch`: runs are started, watched, explained and reported; their stack is deployed."""
