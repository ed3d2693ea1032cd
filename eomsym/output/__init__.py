"""What results look like: figures, tables, JSON and pages."""
