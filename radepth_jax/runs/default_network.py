"""The bundled model, which comes with the package and is used if no checkpoint is named.

`experiments/box.py` trains it, on rendered streets alone. Its parameters are stored as float16.
"""

from pathlib import Path

NAME = "default"
FOLDER = Path(__file__).parent / "default_network"
