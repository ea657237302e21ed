"""``alert test --rule``: whether real requests that make a rule's condition true lead to a message that a channel
accepts."""
