"""The stages of the work on an atlas: one module per stage.

    prompts -> extract (patterns -> features) -> embed -> distances -> project, cluster, evaluate

A stage is skipped if its inputs did not change. It can be killed at any moment and run again:
complete files are kept, and the result does not depend on the interruption.
"""
