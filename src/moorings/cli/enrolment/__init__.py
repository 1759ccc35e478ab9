"""`moorings enrolment`: its stack is deployed; pools, grants and activations are looked at and changed."""
