"""Reports: the paper's claims compared with an atlas, and everything about one head."""
