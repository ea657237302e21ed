"""``lab status``: whether each host of the embedded fleet runs and answers."""
