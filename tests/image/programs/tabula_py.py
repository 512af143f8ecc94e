"""A table drawn into a PDF is found again by tabula, which runs in Java."""

import tabula
from reportlab.lib import colors
from reportlab.platypus import SimpleDocTemplate, Table

rows = [["name", "age"], ["Ada", "36"], ["Grace", "85"]]
SimpleDocTemplate("table.pdf").build([Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, colors.black)])])
(table,) = tabula.read_pdf("table.pdf", pages="all", lattice=True)
assert table.to_dict("records") == [{"name": "Ada", "age": 36}, {"name": "Grace", "age": 85}]
tabula.convert_into("table.pdf", "table.csv", output_format="csv", pages=1)
assert open("table.csv").read().splitlines() == ["name,age", "Ada,36", "Grace,85"]
