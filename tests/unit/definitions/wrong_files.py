"""Wrong automation files, each with what a person must be told and where."""

from wrong_keys import DELIVERY, KEYS, WORK
from wrong_samples import Wrong, key
from wrong_sources import FRONT_MATTER, LEGACY, NAMES, SOURCE
from wrong_starts import STARTS

LATER: list[str] = []

NOT_YET = {
    **{f"later: {name}": key(f'"{name}": {{}}', "not_yet", f"{name} is not built yet",
                             "take the key away") for name in LATER},
    "later: participants": key('"prefills": {"participants": {}}', "not_yet",
                               "participants is not built yet", "take the key away", at=(4, 15)),
}  # fmt: skip

EXPECT = {
    f"expect: {name}": key(f'"expect": {text}', code, says, at=at)
    for name, text, code, says, at in (
        ("nothing", "{}", "empty", "asks for nothing", (4, 2)),
        ("no schema", '{"schema": {"type": "numbr"}}', "bad_schema", "not JSON Schema", (4, 13)),
        ("look-around", '{"matches": "(?=x)"}', "bad_pattern", "look-around", (4, 13)),
        ("a slip", '{"match": "x"}', "unknown_key", "match", (4, 13)),
        ("a path that is never there", '{"quiet": {"text": "x"}}', "bad_filter", "never", (4, 13)),
        ("a probe through nothing", '{"probe": {"endpoint": "/x"}}', "missing_key", "connection",
         (4, 13)),
        ("a probe of nothing", '{"probe": {"connection": "x"}}', "one_of", "expect.probe reads",
         (4, 13)),
        ("a path that climbs", '{"probe": {"connection": "x", "endpoint": "x"}}', "bad_expect",
         "no path", (4, 42)),
    )
}  # fmt: skip

WRONG: dict[str, Wrong] = {
    f"{group}: {name}": wrong
    for group, cases in (
        ("source", SOURCE),
        ("key", KEYS),
        ("start", STARTS),
        ("work", WORK),
        ("delivery", DELIVERY),
        ("expect", EXPECT),
        ("later", NOT_YET),
        ("front matter", FRONT_MATTER),
        ("legacy", LEGACY),
        ("name", NAMES),
    )
    for name, wrong in cases.items()
}
