"""Files: what is on disk or elsewhere, and how it is read and written."""
