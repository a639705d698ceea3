"""Given: hosts that exist already and belong to others. Their ENA Express setting is switched, and put back; nothing else is changed.

instance ids ─▶ discovery.py (Describe calls) ─▶ questions.py (may it be switched? what must be known?) ─▶ bench
                                              └▶ saved.py (the setting found, on disk before the first switch) ─▶ putback.py
"""
