"""``lab status``: does each host of the embedded fleet run and answer?"""
