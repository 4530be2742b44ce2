"""dsbench: which sequence backbone should make decisions, and at what cost?"""

__version__ = "0.1.0"
