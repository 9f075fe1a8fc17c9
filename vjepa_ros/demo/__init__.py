"""A demonstration: the simulated Franka does a task through the real graph, and it is shown."""
