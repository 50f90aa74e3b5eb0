"""Writes that do not look like writes: override headers and parameters, GraphQL documents."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast
from urllib.parse import parse_qsl

_OVERRIDES = frozenset({
    "method", "httpmethod", "httpmethodoverride", "methodoverride", "xhttpmethod",
    "xhttpmethodoverride", "xmethod", "xmethodoverride", "xrequestmethod", "requestmethod",
})  # fmt: skip
_NOISE = re.compile(r'"""(?:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n\r]*', re.DOTALL)
_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[{}()\[\]]")
# Inside a multipart body the document is a string in a JSON object in a part: not worth
# unpacking, because nobody sends one to read.
_HIDDEN_CHANGE = re.compile(r"\b(?:mutation|subscription)\b")
# A field of a multipart body: its name, and the first line of its value.
_PART = re.compile(
    r"form-data\b[^\r\n]*?\bname\*?=(?:utf-8'')?\"?([^\";\r\n]+)[^\r\n]*\r?\n"
    r"(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]*)",
    re.IGNORECASE,
)
_CHANGING = frozenset({"mutation", "subscription"})


def override(
    headers: Mapping[str, str], params: Iterable[tuple[str, object]], data: object
) -> str | None:
    """The method that a header, a parameter or a form field asks for instead, in capitals.

    `?` stands for one that cannot be read, such as two that differ.
    """
    asked = [str(value) for name, value in headers.items() if _squeeze(name) in _OVERRIDES]
    fields = [*params, *_fields(data)]
    # A bare `method` is an ordinary word of many interfaces; `_method` never is.
    asked += [
        str(value)
        for name, value in fields
        if _squeeze(name) in _OVERRIDES and (name.lower() != "method" or _is_method(str(value)))
    ]
    if not asked:
        return None
    methods = {value.strip().upper() for value in asked}
    return methods.pop() if len(methods) == 1 else "?"


def graphql_changes(params: Iterable[tuple[str, object]], data: object) -> bool:
    """Whether the request carries a GraphQL mutation or subscription, or one sight unseen.

    Looks at `query` in the URL and at bodies: an object, a batch, their JSON text, a bare
    document, a form. A stored operation that is only named by its hash counts.
    """
    documents = [str(value) for name, value in params if name.lower() == "query"]
    stored = any(name.lower() in {"extensions", "documentid", "doc_id"} for name, _ in params)
    unseen = stored and not documents
    for body in _bodies(data):
        if isinstance(body, str):
            documents.append(body)
            unseen = unseen or bool("form-data" in body and _HIDDEN_CHANGE.search(body))
            continue
        query = body.get("query")
        if isinstance(query, str):
            documents.append(query)
        unseen = unseen or (query is None and _names_stored(body))
    return unseen or any(map(_changes, documents))


def _changes(document: str) -> bool:
    """Whether `mutation` or `subscription` stands outside every bracket of a document."""
    # Strings, block strings and comments may hold brackets and words that mean nothing.
    words = _WORDS.findall(_NOISE.sub(" ", document.lstrip("\ufeff")))
    if "{" not in words:
        return False
    depth = 0
    for word in words:
        if word in "{([":
            depth += 1
        elif word in "})]":
            depth = max(depth - 1, 0)
        elif depth == 0 and word in _CHANGING:
            return True
    return False


def _names_stored(body: Mapping[str, object]) -> bool:
    extensions = body.get("extensions")
    persisted = isinstance(extensions, Mapping) and "persistedQuery" in extensions
    return persisted or any(key in body for key in ("documentId", "doc_id", "queryId"))


def _bodies(data: object, depth: int = 0) -> Iterator[Mapping[str, object] | str]:
    if isinstance(data, Mapping):
        yield cast("Mapping[str, object]", data)
    elif isinstance(data, str):
        yield data
        if depth == 0:
            try:
                yield from _bodies(json.loads(data), 1)
            except (ValueError, RecursionError):
                yield from _bodies(dict(parse_qsl(data)), 1)
    elif isinstance(data, Sequence) and not isinstance(data, bytes):
        for each in cast("Sequence[object]", data):
            if isinstance(each, Mapping):
                yield cast("Mapping[str, object]", each)


def _fields(data: object) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for body in _bodies(data):
        if isinstance(body, str):
            found += _PART.findall(body)
        else:
            found += [(str(name), value) for name, value in body.items()]
    return found


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_method(value: str) -> bool:
    return value.strip().upper() in {"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"}
