"""Each paper's default list of parts, and the switches its tables turn."""
