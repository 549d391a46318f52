"""The crash-safe record: schema, writing, reading, and what recovery has to undo."""
