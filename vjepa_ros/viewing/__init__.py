"""What goes on, for Rerun: live from the topics, and from recordings."""
