"""What people see while a command works and when it ends, on standard error."""
