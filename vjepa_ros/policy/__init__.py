"""Policies of others as proposers of actions, over openpi's protocol; a small one of our own."""
