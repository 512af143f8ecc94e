"""An old .xls file is read. No library here writes one, so its records (BIFF 2) are written out by hand."""

import struct
import warnings

import pandas as pd
import xlrd


def record(kind, body):
    return struct.pack("<HH", kind, len(body)) + body


def label(row, column, text):
    return record(0x0004, struct.pack("<HH3xB", row, column, len(text)) + text.encode("latin-1"))


def number(row, column, value):
    return record(0x0003, struct.pack("<HH3xd", row, column, value))


with open("old.xls", "wb") as file:
    file.write(record(0x0009, struct.pack("<HH", 0x0200, 0x0010)))
    file.write(record(0x0042, struct.pack("<H", 1252)))
    file.write(label(0, 0, "name") + label(0, 1, "age") + label(1, 0, "Ada") + number(1, 1, 36.0))
    file.write(record(0x000A, b""))

sheet = xlrd.open_workbook("old.xls").sheet_by_index(0)
assert sheet.row_values(1) == ["Ada", 36.0]
warnings.simplefilter("ignore")  # pandas announces another reader for .xls in times to come
assert pd.read_excel("old.xls", engine="xlrd").to_dict("records") == [{"name": "Ada", "age": 36}]
