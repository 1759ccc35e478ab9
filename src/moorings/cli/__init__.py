"""The command line: one module per noun, over the same services that the functions use."""
