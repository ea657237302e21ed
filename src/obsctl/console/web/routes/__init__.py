"""One module for each subject: its pages, and its calls of the API."""
