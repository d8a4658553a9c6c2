"""`python -m attention_motifs`: the same as the command `motifs`."""

from attention_motifs.cli import main

if __name__ == "__main__":
    main()
