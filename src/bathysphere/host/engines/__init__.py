"""Ways to run a sandbox, behind one interface."""
