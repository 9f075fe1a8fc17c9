"""From one picture of the end to the sub-goals of the way there."""
