"""``artifacts verify``: is the artifact folder still what was built and locked?"""
