"""A Markdown file as the document that the JSON form would be."""

from amodal_rt.definitions import frontmatter, legacy
from amodal_rt.definitions.source import Document, SourceError, decode
from amodal_rt.domain.problem import Problem

_WORK = ("prompt", "promptFile", "prompt_file", "messages")


def read(raw: bytes, file: str) -> Document:
    """Front matter and a body that is the prompt, or the legacy form. Raises SourceError."""
    text = decode(raw, file)
    if not frontmatter.has_front_matter(text):
        return legacy.read(text, file)
    head, body, first = frontmatter.split(text, file)
    value, places = frontmatter.read_yaml(head, file, first)
    body = body.replace("\r\n", "\n").strip()
    for key in _WORK:
        if key in value and body:
            line, column = places[f"/{key}"]
            raise SourceError(
                Problem(
                    file=file,
                    code="one_of",
                    message=f"{key} and the text below the front matter say twice what runs",
                    line=line,
                    column=column,
                    hint=f"take {key} away, or the text",
                )
            )
    if body:
        value["prompt"] = body
        line = text.count("\n", 0, text.rfind(body.split("\n", 1)[0])) + 1
        places = {**places, "/prompt": (line, 1)}
    return Document(file, value, lambda: places)
