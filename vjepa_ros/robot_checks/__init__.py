"""Whether a robot that runs is as its YAML says."""
