"""A CSV is grouped, joined with an Excel sheet of its own making, and resampled by month."""

import io

import pandas as pd

sales = pd.read_csv(io.StringIO("day,city,amount\n2025-01-05,Lyon,10\n2025-01-20,Lyon,30\n2025-02-03,Brest,5\n"))
sales["day"] = pd.to_datetime(sales["day"])
assert sales.groupby("city")["amount"].sum().to_dict() == {"Brest": 5, "Lyon": 40}
monthly = sales.set_index("day")["amount"].resample("MS").sum()
assert list(monthly) == [40, 5]

sales.to_excel("sales.xlsx", index=False)
sales.to_parquet("sales.parquet")
assert pd.read_excel("sales.xlsx").equals(pd.read_parquet("sales.parquet").astype({"city": "str"}))
assert sales["day"].dt.tz_localize("Europe/Paris").iloc[0].utcoffset().total_seconds() == 3600
