"""The environment in the forms that other libraries' trainers take."""
