"""The alerter: lines in, one message when a condition starts and one when it has ended.

``service`` is the process: it stands by until ``leadership`` chooses it, and then runs ``active``, which moves lines
from package to package: ``input`` reads them, ``windows`` count them, ``rules`` judge the windows, ``evaluation``
decides what starts and ends, ``notify`` what is to be said, ``messages`` puts it into words, ``state`` keeps it,
``delivery`` sends it through ``channels``. docs/architecture.md says what each package is for; pyproject.toml which may
import which.
"""
