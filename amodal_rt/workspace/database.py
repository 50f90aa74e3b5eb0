"""Which ledger a workspace names: asked before there is one, and so before anything else."""

from collections.abc import Mapping
from pathlib import Path

from amodal_rt.definitions.settings import parse_settings
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import InvalidError
from amodal_rt.settings import Environment
from amodal_rt.workspace.dotenv import parse_dotenv
from amodal_rt.workspace.reading import DOTENV, SETTINGS


def database_of(root: Path, process_env: Mapping[str, str]) -> str | None:
    """The URL that `database` of `amodal.json` stands for, or None for the file of its own.

    Raises InvalidError for a broken `amodal.json`, and UnavailableError (`env_missing`): a
    daemon that took another ledger instead would forget all that it ever acknowledged.
    """
    text = _bytes(root / SETTINGS)
    if text is None:
        return None
    settings, problems = parse_settings(text, SETTINGS)
    if settings is None:
        wrong = next(each for each in problems if each.severity == "error")
        raise InvalidError(wrong.sentence(), code=wrong.code, hint=wrong.hint)
    if not isinstance(settings.database, SecretRef):
        return settings.database
    dotenv, _ = parse_dotenv(_bytes(root / DOTENV) or b"", file=DOTENV)
    return Environment(process=process_env, dotenv=dotenv).get(settings.database.name)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidError(f"{path.name}: {error.strerror}", code="unreadable") from None
