"""What the image's python is started with: small, because this one file is compiled anew at every start."""

import sys

sys.path.append(__file__.rsplit("/", 2)[0] or "/")

from guest.init import main  # type: ignore[import-not-found]

main()
