"""What a report says: one module a section, each from runs to tables and figures; what it looks like is elsewhere."""
