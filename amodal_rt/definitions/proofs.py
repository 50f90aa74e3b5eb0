"""From `webhookAuth`, or an integration's file, to how its senders prove themselves."""

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.proof_file import WebhookAuthShape
from amodal_rt.definitions.shapes import text_or_secret
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth


class Proofs:
    """Reads proofs; collects the variables that their secrets stand in."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self.secrets: set[str] = set()

    def auth(self, shape: WebhookAuthShape | None, loc: Loc) -> WebhookAuth | None:
        """The proof that senders must give; None after a complaint, or where none is asked."""
        if shape is None:
            return None
        known = [each.value for each in SignatureScheme]
        if shape.type not in known:
            hint = suggestion(shape.type, known) or f"there are {', '.join(known)}"
            self._complain(
                "unknown_scheme",
                f"{shown(shape.type)} is no signature scheme",
                (*loc, "type"),
                hint=hint,
            )
            return None
        scheme = SignatureScheme(shape.type)
        if scheme is not SignatureScheme.HMAC_SHA256 and shape.header is not None:
            self._complain(
                "conflict",
                f"the preset {scheme} knows its header",
                (*loc, "header"),
                hint='take it away, or use "hmac-sha256"',
            )
        secrets = tuple(text_or_secret(each) for each in shape.secret)
        for place, secret in enumerate(secrets):
            if isinstance(secret, SecretRef):
                self.secrets.add(secret.name)
            else:
                self._complain(
                    "secret_in_file",
                    "a secret does not belong into a file",
                    (*loc, "secret", place),
                    hint='put it into .env and write "env:NAME"',
                )
        return WebhookAuth(
            scheme=scheme, secrets=secrets, header=shape.header, dedupe_header=shape.dedupe_header
        )
