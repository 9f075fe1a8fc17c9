"""Episodes: one type for what was recorded, and its readers and writers."""
