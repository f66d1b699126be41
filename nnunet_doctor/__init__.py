"""nnunet-doctor: what is wrong with this machine, this installation and this dataset, and how to mend it.

facts = look(); findings = diagnose(facts, checks); settings = plan(findings); launch(settings)
"""

__version__ = "0.1.0"
