"""The one way to read a stored document: a regular file, bounded, parsed strictly; nothing in it runs or is believed.

Whoever reads a document of some kind says how large it may be, parses it here and validates it against that kind's model.
A part of the foundation: settings, records, data and studies read alike.
"""

from dsbench.reading.files import open_regular, read_regular
from dsbench.reading.json_text import parse_json
from dsbench.reading.limits import MIB, Limits, Unparsable, check_bounds
from dsbench.reading.models import Document, checked
from dsbench.reading.yaml_text import parse_yaml

__all__ = [
    "MIB",
    "Document",
    "Limits",
    "Unparsable",
    "check_bounds",
    "checked",
    "open_regular",
    "parse_json",
    "parse_yaml",
    "read_regular",
]
