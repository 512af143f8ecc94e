"""Reading multipart bodies as a stream: any cut gives the same parts, and rubbish gives one kind of error."""

from __future__ import annotations

import asyncio
import itertools
import string
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.api.multipart import MalformedMultipart, PartBegin, PartData, PartEnd, boundary, events
from tests.api.multipart_body import BOUNDARY, CONTENT_TYPE, body, part

Parts = list[tuple[PartBegin, bytes]]


def parsed(chunks: list[bytes], content_type: str = CONTENT_TYPE) -> Parts:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> Parts:
        found: Parts = []
        ended = 0
        async for event in events(content_type, stream()):
            match event:
                case PartBegin():
                    found.append((event, b""))
                case PartData(data):
                    found[-1] = (found[-1][0], found[-1][1] + data)
                case PartEnd():
                    ended += 1
        assert ended == len(found)
        return found

    return asyncio.run(read())


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"\r\n--b0", BOUNDARY.encode(), b"a", b"\x00", b"\r\n"])
    | st.binary(max_size=4),
    max_size=12,
).map(b"".join)
contents = (tricky | st.binary(max_size=200)).filter(
    lambda c: f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + c + b"\r\n"
)
words = st.text(string.ascii_letters + string.digits + " .;='é日", min_size=1, max_size=20)


@given(
    fields=st.lists(st.tuples(words, st.none() | words, contents), min_size=1, max_size=4),
    places=st.lists(st.integers(0), max_size=20),
)
def test_however_the_body_is_cut_the_parts_are_the_same(
    fields: list[tuple[str, str | None, bytes]], places: list[int]
) -> None:
    whole = body(
        part(f'name="{name}"' + (f'; filename="{filename}"' if filename is not None else ""), content)
        for name, filename, content in fields
    )
    expected = [(PartBegin(name, filename, None), content) for name, filename, content in fields]
    assert parsed(cut(whole, places)) == expected
    assert parsed([whole[n : n + 1] for n in range(len(whole))]) == expected


@given(
    whole=st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                f"--{BOUNDARY}".encode(),
                b"--",
                b"\r\n",
                b"\r",
                b"\n",
                b": ",
                b"Content-Disposition: form-data; ",
                b'name="file"',
                b"filename*=",
                b"filename*0*=",
                b"utf-16''%d8",
                b"unicode_escape''%5Cud800",
                b";",
                b'"',
                b"\\",
                b"=",
                b"\xff",
                b"Content-Type: ",
            ]
        ),
        max_size=25,
    ).map(b"".join),
    places=st.lists(st.integers(0), max_size=5),
)
def test_rubbish_gives_parts_or_one_kind_of_error(whole: bytes, places: list[int]) -> None:
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '.encode()
    for candidate in (whole, start + whole, start + whole + f"\r\n\r\n\r\n--{BOUNDARY}--".encode()):
        try:
            parts = parsed(cut(candidate, places))
        except MalformedMultipart as error:
            assert str(error)
        else:
            assert candidate.rstrip().count(BOUNDARY.encode()) > len(parts)


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"; filename="data.csv"', "data.csv"),
        ("name=file; filename=data.csv", "data.csv"),
        ('name="file"; filename="a;b=c.csv"', "a;b=c.csv"),
        ('name="file"; filename="räum lich.csv"', "räum lich.csv"),
        ('name="file"; filename="日本語.csv"', "日本語.csv"),
        (b'name="file"; filename="r\xe4um.csv"', "räum.csv"),
        ("name=\"file\"; filename*=UTF-8''%E2%82%AC.csv", "€.csv"),
        ('name="file"; filename="EUR.csv"; filename*=UTF-8\'\'%E2%82%AC.csv', "€.csv"),
        ('name="file"; filename*=UTF-8\'\'%E2%82%AC.csv; filename="EUR.csv"', "€.csv"),
        ("name=\"file\"; filename*=iso-8859-1'de'r%E4um.csv", "räum.csv"),
        ('name="file"; filename*0="part one "; filename*1="part two.csv"', "part one part two.csv"),
        ('name="file"; filename="say \\"hi\\".csv"', 'say "hi".csv'),
        ('name="file"; filename="C:\\\\temp\\\\x.csv"', "C:\\temp\\x.csv"),
        ('name="file"; filename="dir/x.csv"', "dir/x.csv"),
        ('NAME="file"; FileName="x.csv"', "x.csv"),
        ('name="file"; filename=""', ""),
        ('name="file"', None),
    ],
)
def test_filenames_are_read_in_every_form_that_clients_send(disposition: str | bytes, filename: str | None) -> None:
    ((begin, content),) = parsed([body([part(disposition, b"1,2", "Content-Type: text/csv")])])
    assert begin == PartBegin("file", filename, "text/csv")
    assert content == b"1,2"


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (b"", "before its closing boundary"),
        (body([])[:-4], "before its closing boundary"),
        (body([part('name="file"', b"x")])[:-4], "before its closing boundary"),
        (b"garbage", "boundary character"),
        (body([f"--{BOUNDARY}\r\nContent-Type: text/csv\r\n\r\nx\r\n".encode()]), "no Content-Disposition"),
        (body([part("filename=x", b"x")]), "form-data with a name"),
        (body([part('name="a"', b"x")]).replace(b"form-data", b"attachment"), "form-data with a name"),
        (body([part('name="a"', b"x", "Content-Transfer-Encoding: base64")]), "Content-Transfer-Encoding"),
        (body([part('name="a"', b"x", "Content-Disposition: form-data; name=b")]), "two content-disposition"),
        (body([part('name="a"', b"x", *(f"X-{n}: y" for n in range(100)))]), "header count"),
        (body([part('name="a"; filename="' + "x" * 10_000 + '"', b"x")]), "header size"),
        (body([part('name="a"', b"x", "X" * 10_000 + ": y")]), "header size"),
        (body(part(f'name="f{n}"', b"x") for n in range(100)), "more than 64 parts"),
    ],
)
def test_what_cannot_be_read_says_why(whole: bytes, message: str) -> None:
    with pytest.raises(MalformedMultipart, match=message):
        parsed([whole])


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=é",
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary*=utf-8''%e9%ff",
        "multipart/form-data; boundary*0*=unicode_escape''%5Cud800",
    ],
)
def test_a_content_type_must_name_a_boundary(content_type: str | None) -> None:
    with pytest.raises(MalformedMultipart, match=r"Content-Type"):
        boundary(content_type)


def test_boundaries_are_read_quoted_and_plain() -> None:
    assert boundary("multipart/form-data; boundary=abc") == b"abc"
    assert boundary('Multipart/Form-Data; charset=utf-8; boundary="a b:c"') == b"a b:c"
