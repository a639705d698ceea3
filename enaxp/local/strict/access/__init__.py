"""Who may do what: IAM's judgement of each call, once a policy is put on its caller. Without one, a caller may do everything.

call ─▶ questions.py (action, resource, condition keys; one for each resource) ─▶ policies.py (allow or deny, and why) ─▶ answer

policies.py    documents, and the judgement by them: pure         actions.yaml    what each action is judged on
actions.py     reads actions.yaml                                 questions.py    what a call asks for, with the tags of what it names
callers.py     which policies are on whom
"""
