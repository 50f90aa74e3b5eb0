"""A Markdown file as the document that the JSON form would be."""

from amodal_rt.definitions import frontmatter, legacy
from amodal_rt.definitions.document import Document
from amodal_rt.definitions.positions import place_of
from amodal_rt.definitions.source import SourceError, decode, refusal
from amodal_rt.domain.problem import Problem

_WORK = ("prompt", "promptFile", "prompt_file", "messages", "inputTemplate", "input_template")


def read(raw: bytes, file: str) -> Document:
    """Front matter and a body that is the prompt, or the legacy form. Raises SourceError."""
    text = decode(raw, file)
    if not frontmatter.has_front_matter(text):
        _refuse_lookalikes(text, file)
        return legacy.read(text, file)
    parts = frontmatter.split(text, file)
    value, places = frontmatter.read_yaml(parts.head, file, parts.first_line)
    body = text[parts.body :]
    prompt = body.replace("\r\n", "\n").strip()
    for key in _WORK:
        if prompt and value.get(key) is not None:
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
    if prompt:
        value["prompt"] = prompt
        start = parts.body + len(body) - len(body.lstrip())
        places = {**places, "/prompt": place_of(text, start)}
    return Document(file, value, lambda: places)


def _refuse_lookalikes(text: str, file: str) -> None:
    """What is meant as another form, and would be refused as the legacy one beside the point."""
    start = len(text) - len(text.lstrip())
    begin = text[start:]
    if begin.startswith("---"):
        line = begin.split("\n", 1)[0].strip()
        hint = "--- stands alone on the first line" if line == "---" else "write --- alone"
        raise refusal(text, file, "bad_yaml", "the front matter is not at the start", start, hint)
    if begin.startswith("{"):
        message = "this is JSON in a file that ends in .md"
        raise refusal(text, file, "bad_markdown", message, start, "rename it to end in .json")
