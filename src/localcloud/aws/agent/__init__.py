"""What only the SSM agent says to the service: its shapes and signatures, registration, heartbeats, both channels."""
