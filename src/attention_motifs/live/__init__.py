"""A text of the user, read by the models of an atlas while they are in memory."""
