"""One module for each subcommand of `vjepa-ros`."""
