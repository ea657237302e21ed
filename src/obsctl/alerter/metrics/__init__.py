"""The pipeline's own metrics, read from pages and from this machine, and the thread that reads them.

:mod:`obsctl.alerter.rules.metric_names` lists those of our own pages.
"""
