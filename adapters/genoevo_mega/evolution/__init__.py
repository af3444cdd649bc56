"""Which modules each task uses."""
