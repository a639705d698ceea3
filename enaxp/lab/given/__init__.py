"""Given: existing hosts that enaxp did not create. Their ENA Express setting is switched and restored; nothing else is changed.

instance ids ─▶ discovery.py (Describe calls) ─▶ notices.py (may it be switched? what must the user know?) ─▶ bench
                                              └▶ saved.py (the setting found, on disk before the first switch) ─▶ putback.py
"""
