"""The `radepth` command: a module for each sub-command."""
