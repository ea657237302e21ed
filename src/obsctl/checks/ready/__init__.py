"""``health --pre``: whether the hosts of an inventory are ready for the installation."""
