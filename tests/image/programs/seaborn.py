"""A statistical plot of a small table."""

import pandas as pd
import seaborn as sns
from PIL import Image

table = pd.DataFrame({"x": [1, 2, 3, 4] * 3, "y": range(12), "kind": ["a", "b", "c"] * 4})
sns.set_theme()
sns.relplot(data=table, x="x", y="y", hue="kind").savefig("plot.png")
sns.heatmap(table[["x", "y"]].corr(), annot=True).figure.savefig("heat.png")
assert Image.open("plot.png").width > 300
