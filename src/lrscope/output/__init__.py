"""Where it is shown."""
