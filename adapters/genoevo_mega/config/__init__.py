"""What can be set. No torch."""
