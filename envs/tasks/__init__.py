"""The tasks: one module each, its decision process in the docstring."""
