"""The explorer: export of an atlas as a static site, and a server for it."""
