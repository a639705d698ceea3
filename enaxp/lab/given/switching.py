"""Switching: switches ENA Express on given hosts for one bench. The original settings are saved first, and restored whatever happens.

switched() ─▶ left over from a killed bench? refused ─▶ saved on disk ─▶ SrdSwitch, for the trials ─▶ restored
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from enaxp.aws import Aws
from enaxp.ending import held_back
from enaxp.errors import LabError
from enaxp.lab.given.putback import AGAIN, put_back
from enaxp.lab.given.saved import GivenFolder, SavedSettings
from enaxp.lab.srd import SrdSwitch
from enaxp.traffic import TOGGLED_HOME


@contextlib.contextmanager
def switched(aws: Aws, folder: GivenFolder, saved: SavedSettings, *, say: Callable[[str], None]) -> Iterator[SrdSwitch]:
    """A context with the function that switches SRD on ("second") and off ("none") on both interfaces, which must be locked. The original
    settings are restored at the end, also after an error or an interruption.

    Raises LabError when settings saved earlier for one of the interfaces are not restored yet, and AwsError when restoring failed.
    """
    if any(saved.enis & other.enis for other in folder.all()):
        raise LabError(
            "an earlier bench left these interfaces switched, so what is found now is not what they had",
            todo="run `enaxp restore`, then try again",
        )
    folder.save(saved)
    try:
        yield SrdSwitch(aws=aws, home=dict.fromkeys(sorted(saved.enis), TOGGLED_HOME), todo=AGAIN)
    finally:
        with held_back():
            put_back(aws, folder, saved, say=say)
