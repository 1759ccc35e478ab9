"""What can be made from a template: one module per service, each a reviewed table of types and properties."""
