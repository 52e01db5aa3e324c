"""The finished cells of a study as tables: CSV, JSON and Markdown."""
