"""Writing a workspace as its owner would."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Workspace:
    """A folder of definitions under construction. Later calls replace earlier ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "automations").mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: object) -> Path:
        """A file: a mapping or list as JSON, a text as it is."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif isinstance(content, str):
            target.write_text(content, encoding="utf-8")
        else:
            target.write_text(json.dumps(content, indent=2), encoding="utf-8")
        return target

    def settings(self, document: Mapping[str, Any]) -> None:
        """`amodal.json`."""
        self.write("amodal.json", document)

    def automation(self, name: str, **keys: Any) -> Path:
        """`automations/NAME.json`, with a title and a prompt unless given."""
        document = {"title": name.replace("-", " ").title(), **keys}
        if not {"prompt", "promptFile", "messages"} & keys.keys():
            document["prompt"] = f"Do the work of {name}."
        return self.write(f"automations/{name}.json", document)

    def connection(self, name: str, spec: Mapping[str, Any], **files: object) -> None:
        """`connections/NAME/spec.json`, and `access=…` for its `access.json`."""
        self.write(f"connections/{name}/spec.json", spec)
        for stem, content in files.items():
            suffix = "md" if isinstance(content, str) else "json"
            self.write(f"connections/{name}/{stem}.{suffix}", content)

    def secrets(self, **variables: str) -> None:
        """`.env`, readable by nobody else."""
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        self.write(".env", lines).chmod(0o600)
