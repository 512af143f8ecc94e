"""What operators see of a running server: metrics, traces, logs. Used by every room but the guest."""
