"""The environment as other frameworks want it."""
