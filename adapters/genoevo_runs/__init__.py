"""What the runs of every adapter have in common. No torch."""
