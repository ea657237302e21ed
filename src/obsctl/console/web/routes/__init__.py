"""One module for each subject, with its pages and its calls of the API."""
