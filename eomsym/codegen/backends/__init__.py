"""Back ends: what makes a plan's list of instructions run, each a module with one entry."""
