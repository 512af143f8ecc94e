"""A progress bar counts to the end."""

import io

from tqdm import tqdm

shown = io.StringIO()
assert sum(tqdm(range(100), file=shown)) == 4950
assert "100/100" in shown.getvalue()
