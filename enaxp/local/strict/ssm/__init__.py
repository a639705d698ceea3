"""Systems Manager: parameters and documents are moto's behind AWS's rules; managed instances, State Manager and Run Command are ours.

content.py        what a document's content must be, and which scripts it means
runs.py           what happens on hosts, and when
actions.py        all actions: documents.py, associations.py and commands.py are a mixin each, base.py is what these share
shown.py          how associations, runs and commands look in answers
"""
