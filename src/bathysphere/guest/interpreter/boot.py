"""Run by ``python3 -c``: the interpreter's modules come from the guest's folder, with builtins of their own.

User's files come first where modules are looked for, so they are left out of the way until the user's code runs.
"""

import sys


def _boot() -> None:
    import builtins  # noqa: PLC0415  (no name may be left to others)
    from _frozen_importlib_external import FileFinder, SourceFileLoader  # noqa: PLC0415

    path, sys.path = sys.path, [place for place in sys.path if place]
    known = dict(vars(builtins))

    class Loader(SourceFileLoader):
        def create_module(self, spec):  # type: ignore[no-untyped-def]
            module = type(sys)(spec.name)
            # Code of a cell may put anything in the place of a builtin function.
            module.__dict__["__builtins__"] = known
            return module

    package = type(sys)("_bathysphere")  # a name that no file of a user's has
    package.__path__ = ["/guest"]
    sys.modules["_bathysphere"] = package
    for place in ("/guest", "/guest/interpreter"):
        sys.path_importer_cache[place] = FileFinder(place, (Loader, [".py"]))
    from _bathysphere.interpreter.main import main  # type: ignore[import-not-found]  # noqa: PLC0415

    main(path)


if __name__ == "__main__":
    _boot()
