"""What a source is run with: the shell or the interpreter of the image, and how the source reaches it."""

import os
import stat

LARGEST_ARGUMENT = 120_000
"""Bytes of source handed over as an argument; Linux allows 131 072 for one."""

# Sources that are too long for an argument come through descriptor 3; builtins only, so nothing else sees it.
_LONG_BASH = 'IFS= read -rd "" BATHYSPHERE_SOURCE <&3; exec 3<&-; eval "$BATHYSPHERE_SOURCE"'

# The source runs as the main module. Its own frames are all that a traceback shows, with their lines. The user's
# files come first where modules are looked for, so only modules built into the interpreter are imported here, and
# for a traceback only from where the interpreter's own ones are.
_PYTHON = """
def _main():
    import posix, sys
    source = b""
    while piece := posix.read(3, 1 << 20):
        source += piece
    posix.close(3)
    name = "<code>"
    main = sys.modules["__main__"].__dict__
    del main["_main"]
    own = sys.path[1:]
    def show(kind, error, trace):
        users, sys.path = sys.path, own
        try:
            import linecache, traceback
            lines = source.decode("utf-8", "replace").splitlines(True)
            linecache.cache[name] = (len(source), None, lines, name)
            printed = traceback.print_exception
        except Exception:
            # The source itself imported files of these names.
            printed = sys.__excepthook__
        finally:
            sys.path = users
        printed(kind, error, trace)
    sys.excepthook = show
    try:
        code = compile(source, name, "exec", dont_inherit=True)
        try:
            exec(code, main)
        except SystemExit:
            raise
        except BaseException as error:
            # Without this frame, as if the source had been the program.
            failed, trace = error, error.__traceback__.tb_next
        else:
            return
    except (SyntaxError, ValueError) as error:
        failed, trace = error, None
    sys.excepthook(type(failed), failed, trace)
    sys.exit(1)
_main()
"""

PROGRAMS = ("/usr/local/bin", "/usr/bin", "/bin")
"""Where the shell and the interpreter are: only in the image, as anybody may put a ``bash`` in their own PATH."""


class CannotStart(Exception):
    """The command could not be started; the message is for its stderr."""


def program(language: str, source: bytes) -> tuple[list[str], int | None]:
    """What runs a source: the arguments, and a file for descriptor 3 when the source goes that way.

    Raises CannotStart.
    """
    if language == "python":
        return [find("python3"), "-c", _PYTHON], _memory_file(source)
    if b"\0" in source:
        raise CannotStart("bash: the command holds a NUL character, which no command can; remove it\n")
    bash = find("bash")
    if len(source) <= LARGEST_ARGUMENT:
        return [bash, "-c", os.fsdecode(source)], None
    return [bash, "-c", _LONG_BASH], _memory_file(source)


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("source", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def find(name: str) -> str:
    """The path of a program of the image. Raises CannotStart."""
    for directory in PROGRAMS:
        path = f"{directory}/{name}"
        try:
            if stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK):
                return path
        except OSError:
            continue
    raise CannotStart(f"{name} is not installed in this container\n")
