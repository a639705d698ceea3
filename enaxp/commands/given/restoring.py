"""Restoring: the implementation of `enaxp restore`: restores the ENA Express settings that killed benches left switched."""

from __future__ import annotations

from dataclasses import dataclass, replace

from enaxp.errors import EnaxpError, LabError
from enaxp.lab.given.putback import put_back
from enaxp.lab.given.saved import GivenFolder, SavedSettings
from enaxp.options import Options
from enaxp.session import open_session


@dataclass(frozen=True, kw_only=True)
class Restored:
    """The outcome of restoring one pair's settings. error: None if they are restored."""

    server: str
    client: str
    interfaces: tuple[str, str]
    error: str | None = None


def restore(options: Options) -> list[Restored]:
    """Restores every setting that killed benches left switched. A failure does not stop the others."""
    return [_restored(options, saved) for saved in GivenFolder(options.state_dir).all()]


def _restored(options: Options, saved: SavedSettings) -> Restored:
    done = Restored(
        server=saved.server.instance_id,
        client=saved.client.instance_id,
        interfaces=(saved.server.eni, saved.client.eni),
    )
    folder = GivenFolder(options.state_dir)
    its_own = replace(options, lab=saved.lab, region=saved.region, target=saved.target)
    try:
        with open_session(its_own) as session, folder.held(saved.enis):
            if session.aws.account() != saved.account:
                raise LabError(
                    f"the settings are of account {saved.account}, these credentials of {session.aws.account()}",
                    todo="choose another --profile",
                )
            put_back(session.aws, folder, saved, say=session.console.say)
    except EnaxpError as error:
        return replace(done, error=str(error))
    return done
