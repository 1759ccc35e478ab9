"""Enrolment: a server asks a private API at first boot, gets a valid activation, and becomes a managed node."""
