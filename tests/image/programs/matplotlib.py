"""A chart with text in many scripts has every glyph, in PNG, PDF and SVG; figures need no display."""

import warnings

warnings.simplefilter("error")
import matplotlib  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
from PIL import Image  # noqa: E402

assert matplotlib.get_backend().lower() == "agg"
fig, axes = plt.subplots()
axes.plot([1, 2, 3], [-1, 0, 1], label="été − ñ Ω я")
axes.set_title("売上高の推移 · 销售趋势 · 銷售 · 매출 추이")
axes.set_xlabel("月 / 월")
axes.legend()
for kind in ("png", "pdf", "svg"):
    fig.savefig(f"chart.{kind}")
with Image.open("chart.png") as picture:
    assert picture.size == (640, 480)
plt.show()
