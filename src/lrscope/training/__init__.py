"""How lanes move."""
