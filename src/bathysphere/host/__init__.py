"""The host daemon: one per machine and data directory, the only one who starts sandboxes and owns their disks."""
