"""``kafka lag``: how far each group is behind over a window of time, and whether it is catching up."""
