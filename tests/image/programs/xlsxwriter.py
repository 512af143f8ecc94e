"""A workbook with a chart is written; another library reads it."""

import openpyxl
import xlsxwriter

with xlsxwriter.Workbook("book.xlsx") as book:
    sheet = book.add_worksheet("Données")
    sheet.write_row(0, 0, ["n", "square"], book.add_format({"bold": True}))
    for n in range(1, 6):
        sheet.write_row(n, 0, [n, n * n])
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "='Données'!$B$2:$B$6"})
    sheet.insert_chart("D2", chart)

read = openpyxl.load_workbook("book.xlsx")["Données"]
assert [row[1].value for row in read.iter_rows(min_row=2)] == [1, 4, 9, 16, 25]
assert len(read._charts) == 1
