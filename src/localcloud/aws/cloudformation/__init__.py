"""CloudFormation: an engine of its own that makes every resource by calling the emulated services' public APIs.

moto parses templates too, but it skips what it does not know and reports success. Here a resource type or property that
is not really made fails the stack with its name; the reviewed tables are in `resources/`, one module per service.
"""
