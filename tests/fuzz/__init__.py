"""What no friend would send, at the doors where others come in: `python -m tests.fuzz --help`."""
