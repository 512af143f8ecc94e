"""What a container is: id, workspace, expiry, state; and the interface to the host that runs it."""
