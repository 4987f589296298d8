"""Records in files: CSV with a column for each field, and JSON."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radepth_jax.files import atomic_write


def write_csv(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write records as CSV. A field that a record lacks is empty."""
    columns = dict.fromkeys(name for record in records for name in record)
    with atomic_write(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)


def write_json(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write records as a JSON list."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(records, indent=1) + "\n")
