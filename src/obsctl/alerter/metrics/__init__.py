"""The pipeline's own metrics: the pages and the machine that they are read from, and the thread that reads these.

:mod:`obsctl.alerter.rules.metric_names` knows which ones our own pages have.
"""
