"""A workbook of a year's sales: the data as a table, a summary by formulas over it, and a plan on assumptions."""

import datetime
import os
import random

import xlsxwriter

random.seed(7)
REGIONS, PRODUCTS = ["North", "South", "East", "West"], {"Tea": 4.2, "Coffee": 6.5, "Cocoa": 5.1}
rows = [
    [datetime.date(2025, 1, 1) + datetime.timedelta(days=random.randrange(365)), random.choice(REGIONS), product, random.randint(5, 60), price]
    for product, price in PRODUCTS.items()
    for _ in range(80)
]
rows.sort(key=lambda row: row[0])

book = xlsxwriter.Workbook(os.environ["OUTPUT_DIR"] + "/sales.xlsx", {
    "use_future_functions": True,
    "default_format_properties": {"font_name": "Arial", "font_size": 10},
})
book.set_properties({"title": "Sales 2025"})


def form(**more):
    return book.add_format({"font_name": "Arial", "font_size": 10, "valign": "vcenter", **more})


title = form(bold=True, font_size=18, font_color="#1F3864")
lead = form(font_color="#667085")
head = form(bold=True, bg_color="#1F3864", font_color="white", align="right")
name_head = form(bold=True, bg_color="#1F3864", font_color="white")
money, share = form(num_format="#,##0"), form(num_format="0.0%")
price, day = form(num_format="#,##0.00"), form(num_format="yyyy-mm-dd", align="left")
sum_name = form(bold=True, top=1)
sum_money, sum_share = form(bold=True, top=1, num_format="#,##0"), form(bold=True, top=1, num_format="0.0%")
given = form(num_format="0.0%", font_color="#0000FF", bg_color="#FFF9E5")
plain, strong = form(), form(bold=True)

summary, plan, data = book.add_worksheet("Summary"), book.add_worksheet("Plan"), book.add_worksheet("Data")

# The data.
data.add_table(0, 0, len(rows), 5, {
    "name": "Sales", "style": "Table Style Light 9", "data": rows,
    "columns": [{"header": "Date", "format": day}, {"header": "Region", "format": plain}, {"header": "Product", "format": plain},
                {"header": "Units", "format": money}, {"header": "Price", "format": price},
                {"header": "Revenue", "format": price, "formula": "=Sales[@[Units]]*Sales[@[Price]]"}],
})  # fmt: skip
data.set_column("A:A", 13)
data.set_column("B:F", 12)
data.freeze_panes(1, 0)

# The summary: one formula, filled right and down.
summary.hide_gridlines(2)
summary.write("A1", "Sales 2025", title)
summary.set_row(0, 30)
summary.write("A2", "Revenue in euros, by region and product. Every figure is a formula over the sheet Data.", lead)
summary.write("A4", "Region", name_head)
last = chr(ord("A") + len(PRODUCTS))
for at, product in enumerate(PRODUCTS, 1):
    summary.write(3, at, product, head)
summary.write(3, len(PRODUCTS) + 1, "Total", head)
summary.write(3, len(PRODUCTS) + 2, "Share", head)
first, end = 5, 4 + len(REGIONS)
for row, region in enumerate(REGIONS, first):
    summary.write(f"A{row}", region, plain)
    for column in "BCD":
        summary.write_formula(f"{column}{row}", f"=SUMIFS(Sales[Revenue],Sales[Region],$A{row},Sales[Product],{column}$4)", money)
    summary.write_formula(f"E{row}", f"=SUM(B{row}:D{row})", money)
    summary.write_formula(f"F{row}", f"=IF($E${end + 1}=0,0,E{row}/$E${end + 1})", share)
summary.write(f"A{end + 1}", "Total", sum_name)
for column in "BCDE":
    summary.write_formula(f"{column}{end + 1}", f"=SUM({column}{first}:{column}{end})", sum_money)
summary.write_formula(f"F{end + 1}", f"=SUM(F{first}:F{end})", sum_share)
summary.conditional_format(f"F{first}:F{end}", {"type": "data_bar", "bar_color": "#9DC3E6", "bar_solid": True,
                           "min_type": "num", "min_value": 0, "max_type": "num", "max_value": 0.6})
summary.write("A11", "Month", name_head)
summary.write("B11", "Units", head)
summary.write("C11", "Revenue", head)
summary.write("D11", "Per unit", head)
for at in range(12):
    row = 12 + at
    summary.write_datetime(f"A{row}", datetime.date(2025, at + 1, 1), form(num_format="mmm yyyy", align="left"))
    span = f'Sales[Date],">="&$A{row},Sales[Date],"<="&EOMONTH($A{row},0)'
    summary.write_formula(f"B{row}", f"=SUMIFS(Sales[Units],{span})", money)
    summary.write_formula(f"C{row}", f"=SUMIFS(Sales[Revenue],{span})", money)
    summary.write_formula(f"D{row}", f"=IF(B{row}=0,0,C{row}/B{row})", price)
summary.write("A24", "Year", sum_name)
summary.write_formula("B24", "=SUM(B12:B23)", sum_money)
summary.write_formula("C24", "=SUM(C12:C23)", sum_money)
summary.write_formula("D24", "=IF(B24=0,0,C24/B24)", form(bold=True, top=1, num_format="#,##0.00"))
summary.set_column("A:A", 12)
summary.set_column("B:F", 11)

COLORS = ["#1F3864", "#2E75B6", "#9DC3E6"]
chart = book.add_chart({"type": "column", "subtype": "stacked"})
for at in range(1, 4):
    chart.add_series({"name": ["Summary", 3, at], "categories": ["Summary", 4, 0, 7, 0], "values": ["Summary", 4, at, 7, at],
                      "gap": 70, "fill": {"color": COLORS[at - 1]}})  # fmt: skip
line = book.add_chart({"type": "line"})
line.add_series({"name": "Revenue", "categories": ["Summary", 11, 0, 22, 0], "values": ["Summary", 11, 2, 22, 2],
                 "line": {"color": "#2E75B6", "width": 2.25}, "marker": {"type": "circle", "size": 5, "fill": {"color": "#2E75B6"}}})  # fmt: skip
line.set_legend({"none": True})
for one, text, cell in ((chart, "Revenue by region and product", "H3"), (line, "Revenue by month", "H19")):
    one.set_title({"name": text, "name_font": {"size": 12, "name": "Arial"}, "overlay": False})
    one.set_y_axis({"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#E4E7EC"}}, "line": {"none": True}, "num_font": {"name": "Arial", "size": 9}})
    one.set_x_axis({"num_font": {"name": "Arial", "size": 9}, **({"num_format": "mmm"} if one is line else {})})
    one.set_size({"width": 470, "height": 300 if one is chart else 240})
    one.set_chartarea({"border": {"none": True}})
    summary.insert_chart(cell, one)
chart.set_legend({"position": "bottom", "font": {"name": "Arial", "size": 9}})

# The plan.
plan.hide_gridlines(2)
plan.write("A1", "Plan 2026", title)
plan.set_row(0, 30)
plan.write("A2", "Blue figures are assumptions; change them, and all follows.", lead)
plan.write("A4", "Assumption", name_head)
plan.write("B4", "Value", head)
for row, (label, value) in enumerate([("Growth of volume", 0.04), ("Change of prices", 0.025), ("Cost of goods, share of revenue", 0.55)], 5):
    plan.write(f"A{row}", label, plain)
    plan.write(f"B{row}", value, given)
plan.data_validation("B5:B7", {"validate": "decimal", "criteria": "between", "minimum": -1, "maximum": 1, "error_message": "A share between -100% and 100%"})
for column, text in zip("ABCDE", ["Region", "2025", "2026", "Change", "Margin 2026"], strict=True):
    plan.write(f"{column}10", text, name_head if column == "A" else head)
for at in range(len(REGIONS)):
    row = 11 + at
    plan.write_formula(f"A{row}", f"=Summary!A{first + at}", plain)
    plan.write_formula(f"B{row}", f"=Summary!E{first + at}", money)
    plan.write_formula(f"C{row}", f"=ROUND(B{row}*(1+$B$5)*(1+$B$6),0)", money)
    plan.write_formula(f"D{row}", f"=C{row}-B{row}", money)
    plan.write_formula(f"E{row}", f"=C{row}*(1-$B$7)", money)
plan.write("A15", "Total", sum_name)
for column in "BCDE":
    plan.write_formula(f"{column}15", f"=SUM({column}11:{column}14)", sum_money)
plan.write("A17", "Best region", plain)
plan.write_formula("B17", "=INDEX(A11:A14,MATCH(MAX(C11:C14),C11:C14,0))", form(bold=True, align="right"))
plan.set_column("A:A", 30)
plan.set_column("B:E", 13)

for sheet in (summary, plan, data):
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&RPage &P of &N")
summary.set_landscape()
plan.set_landscape()
plan.center_horizontally()
data.repeat_rows(0)
summary.activate()
book.close()
