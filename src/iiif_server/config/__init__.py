"""The configuration: its model, reading it from YAML with line numbers, and describing it."""
