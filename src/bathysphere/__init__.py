"""bathysphere: the code execution tool of the Messages API, on your own machine, for any model."""
