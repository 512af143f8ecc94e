"""bathysphere: the code execution tool of the Messages API, on your own machine, for any model."""

from importlib.metadata import version as _version

__version__ = _version("bathysphere")
