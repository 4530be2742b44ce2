"""The one way to read a stored document: a regular file, bounded, parsed strictly; nothing in it runs or is believed.

Whoever reads a document of some kind says how large it may be, parses it here and validates it against that kind's model.
A part of the foundation: settings, records, data and studies read alike. `dsbench.reading.models` is imported by its own
name, since pydantic is not light.
"""

from dsbench.reading.files import open_regular, read_regular
from dsbench.reading.json_text import parse_json
from dsbench.reading.limits import MIB, Limits, Unparsable, check_bounds
from dsbench.reading.yaml_text import dump_yaml, parse_yaml

__all__ = [
    "MIB",
    "Limits",
    "Unparsable",
    "check_bounds",
    "dump_yaml",
    "open_regular",
    "parse_json",
    "parse_yaml",
    "read_regular",
]
