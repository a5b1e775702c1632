"""`python -m hf_xling`: the commands of `hf-xling`."""

import sys

from hf_xling.cli import main

if __name__ == "__main__":
    sys.exit(main())
