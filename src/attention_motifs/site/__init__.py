"""Stage 9b: the explorer, exported from an atlas as a static site, or served."""
