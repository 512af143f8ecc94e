"""How a deck's charts look."""

from __future__ import annotations

from typing import Any

from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.oxml.ns import qn
from pptx.util import Pt

CHARTS = {
    "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "stacked column": XL_CHART_TYPE.COLUMN_STACKED,
    "bar": XL_CHART_TYPE.BAR_CLUSTERED,
    "stacked bar": XL_CHART_TYPE.BAR_STACKED,
    "line": XL_CHART_TYPE.LINE_MARKERS,
    "area": XL_CHART_TYPE.AREA_STACKED,
    "pie": XL_CHART_TYPE.PIE,
    "doughnut": XL_CHART_TYPE.DOUGHNUT,
    "scatter": XL_CHART_TYPE.XY_SCATTER,
}


def theme_colour(name: str) -> Any:
    """A colour of the theme by its name: text1, background2, accent3."""
    return getattr(MSO_THEME_COLOR, f"{name[:-1]}_{name[-1]}".upper())


def style_chart(chart: Any, kind: str, series: int, categories: int, number_format: str, axis: str) -> None:
    """Give a chart the deck's colours and sizes, and take away what it does not need."""
    chart.font.size = Pt(14)
    chart.font.color.theme_color = MSO_THEME_COLOR.TEXT_1
    round_one = kind in ("pie", "doughnut")
    chart.has_title = False
    chart.has_legend = series > 1 or round_one
    if chart.has_legend:
        chart.legend.position = XL_LEGEND_POSITION.RIGHT if round_one else XL_LEGEND_POSITION.TOP
        chart.legend.include_in_layout = False
    plot = chart.plots[0]
    if not round_one:
        for number, one in enumerate(plot.series):
            colour = theme_colour(f"accent{number % 6 + 1}")
            if kind == "line":
                one.format.line.color.theme_color, one.format.line.width, one.smooth = colour, Pt(2.5), False
                one.marker.format.fill.solid()
                one.marker.format.fill.fore_color.theme_color = colour
            elif kind == "scatter":
                one.format.line.fill.background()
                one.marker.format.fill.solid()
                one.marker.format.fill.fore_color.theme_color = colour
            else:
                one.format.fill.solid()
                one.format.fill.fore_color.theme_color = colour
        values = chart.value_axis
        values.major_gridlines.format.line.color.rgb = RGBColor(0xD5, 0xDA, 0xDF)
        values.format.line.fill.background()
        values.tick_labels.number_format, values.tick_labels.number_format_is_linked = number_format, False
        if axis:
            values.has_title = True
            values.axis_title.text_frame.text = axis
            values.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(14)
            values.axis_title.text_frame.paragraphs[0].runs[0].font.bold = False
        if kind == "scatter":
            chart.category_axis.has_major_gridlines = False
    if kind in ("column", "bar", "stacked column", "stacked bar"):
        plot.gap_width = 60
        plot.overlap = 100 if "stacked" in kind else -5
    direct = (series == 1 and kind in ("column", "bar") and categories <= 12) or round_one
    if direct:
        plot.has_data_labels = True
        labels = plot.data_labels
        labels.font.size = Pt(14)
        labels.number_format, labels.number_format_is_linked = number_format, False
        if round_one:
            labels.show_percentage, labels.show_value, labels.number_format = True, False, "0 %"
            labels.font.color.theme_color, labels.font.bold = MSO_THEME_COLOR.BACKGROUND_1, True
        else:
            labels.position = XL_LABEL_POSITION.OUTSIDE_END
            chart.value_axis.visible = bool(axis)
            chart.value_axis.has_major_gridlines = False
    if kind in ("bar", "stacked bar"):
        # The first on top; the axis of values stays below.
        chart.category_axis.reverse_order = True
        # Not category_axis.crosses = ...: python-pptx finds the wrong element for it.
        chart.value_axis._element.find(qn("c:crosses")).set("val", "max")
