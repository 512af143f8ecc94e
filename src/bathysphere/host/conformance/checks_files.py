"""Files: the editor, uploads, what a call produced."""

from __future__ import annotations

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject


@check
async def the_editor(subject: Subject) -> None:
    """Files are created, seen and changed by the editor, and the programs see the same."""
    made = await subject.edit(command="create", path="notes/a.txt", file_text="one\ntwo\nžluť\n")
    same(made["kind"], "created")
    same((await subject.run("cat notes/a.txt; echo three >> notes/a.txt")).stdout, "one\ntwo\nžluť\n")
    seen = await subject.edit(command="view", path="notes/a.txt")
    same((seen["kind"], seen["content"]), ("viewed", "one\ntwo\nžluť\nthree"))
    changed = await subject.edit(command="str_replace", path="notes/a.txt", old_str="two", new_str="2")
    same(changed["kind"], "replaced")
    same((await subject.run("head -2 notes/a.txt")).stdout, "one\n2\n")


@check
async def what_the_editor_refuses(subject: Subject) -> None:
    """A file that is not there, a text that is not found and a place that is read-only are failures with a code."""
    missing = await subject.edit(command="view", path="/home/user/none")
    same((missing["kind"], missing["error_code"]), ("failed", "file_not_found"))
    await subject.edit(command="create", path="a", file_text="x")
    unfound = await subject.edit(command="str_replace", path="a", old_str="y", new_str="z")
    same((unfound["kind"], unfound["error_code"]), ("failed", "string_not_found"))
    same((await subject.edit(command="create", path="/usr/bin/x", file_text="x"))["kind"], "failed")


@check
async def outputs(subject: Subject) -> None:
    """Files in $OUTPUT_DIR, and those made in the working directory, are reported with their sizes and can be read
    as they were when the call ended."""
    seen = await subject.run(
        "head -c 3000000 /dev/urandom > $OUTPUT_DIR/big; echo made > made.txt; sha256sum $OUTPUT_DIR/big"
    )
    assert seen.report is not None
    files = {name: (handle, size) for handle, name, size in seen.report.files}
    same({name: size for name, (_handle, size) in files.items()}, {"big": 3_000_000, "made.txt": 5})
    same(await subject.read(files["made.txt"][0]), b"made\n")
    same(len(await subject.read(files["big"][0])), 3_000_000)
    again = await subject.run("echo changed >> made.txt; mkdir sub; echo x > sub/x")
    assert again.report is not None
    same([name for _handle, name, _size in again.report.files], ["made.txt"])


@check
async def outputs_that_are_not_returned(subject: Subject) -> None:
    """Links, pipes and what is too large or too many are not returned, and the latter are named."""
    seen = await subject.run(
        "cd $OUTPUT_DIR; ln -s /etc/passwd link; mkfifo pipe; truncate -s 20M large; for i in 1 2 3 4 5 6 7; do echo $i > f$i; done"
    )
    assert seen.report is not None
    names = {name for _handle, name, _size in seen.report.files}
    expect(len(names) == 5 and not names & {"link", "pipe", "large"}, names)
    reasons = {name: reason for name, _size, reason, _own in seen.report.left_out}
    same(reasons["large"], "too_large")
    expect("too_many" in reasons.values(), reasons)


@check
async def uploads(subject: Subject) -> None:
    """An upload lies whole in $INPUT_DIR under its name; one of the same name is replaced."""
    data = bytes(range(256)) * 4096
    same(await subject.place("data ž.bin", [data[:300_000], data[300_000:]]), "")
    seen = await subject.python(
        "import os, hashlib; d = open(os.environ['INPUT_DIR'] + '/data ž.bin', 'rb').read()\n"
        "print(d == bytes(range(256)) * 4096)"
    )
    same(seen.stdout, "True\n")
    same(await subject.place("data ž.bin", [b"new"]), "")
    same(await subject.place("empty", []), "")
    same((await subject.run("cat $INPUT_DIR/'data ž.bin'; wc -c < $INPUT_DIR/empty")).stdout, "new0\n")


@check
async def big_files(subject: Subject) -> None:
    """64 MiB are written, read back and hashed right; a file with a hole of 3 GiB is no harm."""
    seen = await subject.python(
        "import hashlib, os\n"
        "block = bytes(range(256)) * 4096\n"
        "with open('/tmp/big', 'wb') as f:\n"
        "    for _ in range(64): f.write(block)\n"
        "digest = hashlib.sha256()\n"
        "with open('/tmp/big', 'rb') as f:\n"
        "    while data := f.read(1 << 20): digest.update(data)\n"
        "print(digest.hexdigest() == hashlib.sha256(block * 64).hexdigest(), os.path.getsize('/tmp/big'))\n"
        "os.remove('/tmp/big')\n"
        "with open('/tmp/hole', 'wb') as f: f.seek(3 << 30); f.write(b'end')\n"
        "with open('/tmp/hole', 'rb') as f: f.seek(-4, 2); print(f.read())\n"
        "os.remove('/tmp/hole')\n",
        seconds=120,
    )
    same(seen.stdout, "True 67108864\nb'\\x00end'\n")


@check
async def many_files(subject: Subject) -> None:
    """A thousand files are made, listed and removed."""
    seen = await subject.run(
        "mkdir m; cd m; for i in {1..1000}; do : > f$i; done; ls | wc -l; cd ..; rm -r m; ls | wc -l", seconds=120
    )
    same(seen.stdout, "1000\n0\n")


@check
async def file_operations(subject: Subject) -> None:
    """Hard links, renames over a file, locks, memory maps, sockets and extended use of descriptors work in the
    writable places."""
    seen = await subject.python(
        "import fcntl, mmap, os, socket, tempfile\n"
        "open('a', 'w').write('a'); os.link('a', 'b'); print(os.stat('a').st_nlink)\n"
        "open('c', 'w').write('c'); os.replace('c', 'b'); print(open('b').read(), os.stat('a').st_nlink)\n"
        "f = open('a', 'r+b'); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); f.truncate(8192)\n"
        "with mmap.mmap(f.fileno(), 8192) as m: m[4096:4099] = b'map'; m.flush()\n"
        "print(open('a', 'rb').read()[4096:4099])\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('/tmp/socket'); s.listen(); c = socket.socket(socket.AF_UNIX)\n"
        "c.connect('/tmp/socket'); print('connected'); os.unlink('/tmp/socket')\n"
        "with tempfile.TemporaryFile() as t: t.write(b'x'); print(t.tell())\n"
        "os.mkdir('deep'); os.chmod('deep', 0o500); print(oct(os.stat('deep').st_mode)); os.rmdir('deep')\n"
    )
    same(seen.stdout, "2\nc 1\nb'map'\nconnected\n1\n0o40500\n")
