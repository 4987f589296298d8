"""The network in the box: shipped in the package, for whoever names no checkpoint.

`experiments/box.py` trains it, on rendered streets alone. Its parameters are stored as float16.
"""

from pathlib import Path

NAME = "default"
FOLDER = Path(__file__).parent / "default_network"
