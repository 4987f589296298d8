"""ArrayRecord, the form of a data set's files. It is imported only where such files are used.

The package array-record has no version for Windows. Predicting and exporting work without it.
"""

import sys
from types import ModuleType

from radepth_jax.errors import UserError


def array_records() -> ModuleType:
    """The module with ArrayRecord's writer and reader.

    Raises:
        UserError: The package is not there.
    """
    try:
        from array_record.python import array_record_module
    except ImportError:
        raise UserError(f"data sets need the package array-record, {_remedy()}") from None
    return array_record_module


def _remedy() -> str:
    if sys.platform == "win32":
        return "which has no version for Windows; use Linux, macOS or WSL"
    return "which cannot be imported; run 'pip install array-record'"
