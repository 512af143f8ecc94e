"""A table goes to Parquet, compressed, and comes back by column."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

table = pa.table({"id": list(range(1000)), "name": [f"n{i % 7}" for i in range(1000)]})
for compression in ("snappy", "zstd", "gzip", "brotli", "lz4"):
    pq.write_table(table, "table.parquet", compression=compression)
    assert pq.read_table("table.parquet").equals(table)
assert pc.sum(pq.read_table("table.parquet", columns=["id"])["id"]).as_py() == 499500
pyarrow.csv.write_csv(table, "table.csv")
assert pyarrow.csv.read_csv("table.csv").num_rows == 1000
