"""pip lists what is there, installs a package from a local folder, and says at once that there is no network."""

import pathlib
import subprocess
import zipfile

listed = subprocess.run(["pip", "list"], check=True, capture_output=True, text=True).stdout
assert "pandas" in listed and "python-docx" in listed
with zipfile.ZipFile("hello_sphere-1.0-py3-none-any.whl", "w") as wheel:
    info = "hello_sphere-1.0.dist-info"
    wheel.writestr("hello_sphere.py", "DEPTH = 923\n")
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: hello-sphere\nVersion: 1.0\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "")
subprocess.run(["pip", "install", "--quiet", "./hello_sphere-1.0-py3-none-any.whl"], check=True)
found = subprocess.run(["python", "-c", "import hello_sphere; print(hello_sphere.DEPTH)"], check=True, capture_output=True)
assert found.stdout == b"923\n"
assert list(pathlib.Path.home().glob(".local/lib/python3.11/site-packages/hello_sphere.py"))
assert subprocess.run(["pip", "install", "no-such-thing"], capture_output=True, check=False).returncode == 1
