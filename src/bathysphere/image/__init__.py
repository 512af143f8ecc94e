"""What is installed in a container, as data (``definition/``), and how it is built.

This room keeps to the standard library in ``definition`` and ``finishing``, because those two also run
inside the image while it is being built.
"""
