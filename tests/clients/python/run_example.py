"""Run a program of the documentation as it is, and print what it printed and the messages that it was left with."""

import contextlib
import io
import json
import runpy
import sys

example, *names = sys.argv[1:]
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    variables = runpy.run_path(example, run_name="__main__")
messages = {name: variables[name].to_dict(mode="json") for name in names}
json.dump({"printed": printed.getvalue(), "messages": messages}, sys.stdout)
