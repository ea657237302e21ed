"""``verify lb``: how requests through the virtual address are spread over the back ends."""
