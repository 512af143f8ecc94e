"""Under which names a program imports the Python libraries of the image."""

from __future__ import annotations

from typing import Final

from bathysphere.image.definition import Definition

# Where the name differs from the distribution's in more than hyphens; the first names are Debian's own.
_NAMES: Final = {
    "python3-cairo": ("cairo",),
    "cffi": ("cffi", "_cffi_backend"),
    "fonttools": ("fontTools",),
    "freetype-py": ("freetype",),
    "jpype1": ("jpype",),
    "matplotlib": ("matplotlib", "mpl_toolkits", "pylab"),
    "pdfminer-six": ("pdfminer",),
    "pillow": ("PIL",),
    "pypdfium2": ("pypdfium2", "pypdfium2_raw"),
    "python-dateutil": ("dateutil",),
    "python-docx": ("docx",),
    "python-pptx": ("pptx",),
    "rlpycairo": ("rlPyCairo",),
    "scikit-learn": ("sklearn",),
    "tabula-py": ("tabula",),
}


def importable(definition: Definition) -> frozenset[str]:
    """The top-level modules beyond the standard library."""
    names = [*definition.wheels, *(name for name in definition.packages if name in _NAMES)]
    return frozenset(module for name in names for module in _NAMES.get(name, (name.replace("-", "_"),)))
