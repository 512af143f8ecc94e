"""A virtual environment can be made without a network."""

import subprocess

subprocess.run(["python3", "-m", "venv", "env"], check=True)
subprocess.run(["env/bin/python", "-c", "import sys; assert sys.prefix != sys.base_prefix"], check=True)
