"""One run and many: create, resume, verify, compare."""
