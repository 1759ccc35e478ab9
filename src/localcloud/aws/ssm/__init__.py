"""Hybrid activations and managed nodes: the part of Systems Manager that enrolment stands on and moto lacks."""
