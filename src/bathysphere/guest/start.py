"""What the image's python is started with: small, because this one file is compiled anew at every start."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0])

from guest.init import main  # type: ignore[import-not-found]

main()
