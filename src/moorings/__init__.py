"""Moorings: enrols servers outside EC2 in AWS Systems Manager, and patches them with a line attached."""
