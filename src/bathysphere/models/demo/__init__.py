"""The demo model: no language model, and it says so. It carries out a small, fixed repertoire through real tools."""

from bathysphere.models.demo.model import DemoModel

__all__ = ["DemoModel"]
