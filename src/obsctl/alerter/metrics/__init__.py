"""The pipeline's own numbers: which there are, the pages that have them, and the thread that reads these."""
