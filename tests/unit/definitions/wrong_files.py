# ruff: noqa: E501, SIM905  a case is read on one line, a list of words as words
"""Wrong automation files, each with what a person must be told and where.

`line` and `column` are those of the first error; `says` must stand in its message, `hint`
in its hint.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    content: bytes
    code: str
    line: int | None
    column: int | None
    says: str
    hint: str | None = None
    file: str = "automations/sample.json"


def raw(content: bytes | str, code: str, line: int | None, column: int | None, says: str,
        hint: str | None = None) -> Wrong:  # fmt: skip
    """A `.json` file as it stands."""
    data = content.encode() if isinstance(content, str) else content
    return Wrong(data, code, line, column, says, hint)


def key(text: str, code: str, says: str, hint: str | None = None, *, at: tuple[int, int] = (4, 2),
        ) -> Wrong:  # fmt: skip
    """A file that is right but for its fourth line, which begins with a space."""
    content = f'{{\n "title": "T",\n "prompt": "Look.",\n {text}\n}}\n'
    return raw(content, code, *at, says, hint)


def work(text: str, code: str, says: str, hint: str | None = None, *, at: tuple[int, int] = (3, 2),
         ) -> Wrong:  # fmt: skip
    """A file whose third line says what runs."""
    return raw(f'{{\n "title": "T",\n {text}\n}}\n', code, *at, says, hint)


def page(content: bytes | str, code: str, line: int | None, column: int | None, says: str,
         hint: str | None = None) -> Wrong:  # fmt: skip
    """A `.md` file as it stands."""
    data = content.encode() if isinstance(content, str) else content
    return Wrong(data, code, line, column, says, hint, "automations/sample.md")


def front(text: str, code: str, line: int, column: int, says: str,
          hint: str | None = None) -> Wrong:  # fmt: skip
    """Front matter after a title on the second line; the body is the prompt."""
    return page(f"---\ntitle: T\n{text}\n---\nLook.\n", code, line, column, says, hint)


TARGET = '"delivery": {"targets": [{"type": "webhook", "url": %s}]}'


def url(text: str, code: str, says: str, hint: str | None = None) -> Wrong:
    return key(TARGET % json.dumps(text), code, says, hint, at=(4, 47))


SOURCE = {
    "empty": raw(b"", "empty_file", None, None, "empty"),
    "white space only": raw(" \n\t\n", "empty_file", None, None, "empty"),
    "a BOM and nothing": raw("\ufeff", "empty_file", None, None, "empty"),
    "half written": raw('{"title": "T", "prom', "bad_json", 1, 16, "closing quote", "saved"),
    "cut after a comma": raw('{"title": "T",\n', "bad_json", 1, 15, "ends in the middle", "saved"),
    "cut after a value": raw('{"title": "T"', "bad_json", 1, 14, "ends in the middle", "saved"),
    "not JSON at all": raw("title: T\n", "bad_json", 1, 1, "a value", "double quotes"),
    "latin-1": raw('{"title":\n "Grü"}'.encode("latin-1"), "not_utf8", 2, 5, "0xfc", "UTF-8"),
    "latin-1 after a BOM": raw(b'\xef\xbb\xbf"\xfc', "not_utf8", 1, 2, "0xfc", "UTF-8"),
    "utf-16": raw('{"title": "T"}'.encode("utf-16"), "not_utf8", 1, 1, "0xff", "UTF-8"),
    "NUL": raw('{"title":\n "a\0b"}', "not_text", 2, 4, "NUL"),
    "too large": raw(" " * 262_145, "too_large", None, None, "262,145 bytes"),
    "too deep": raw("[" * 33 + "]" * 33, "too_deep", 1, 33, "32 levels"),
    "far too deep": raw('{"a":' * 50_000, "too_deep", 1, 161, "32 levels"),
    "a list": raw("\n[1, 2]", "wrong_type", 2, 1, "a list, not an object", "begin with {"),
    "a text": raw('"title"', "wrong_type", 1, 1, "a text, not an object"),
    "null": raw("null", "wrong_type", 1, 1, "null, not an object"),
    "duplicate key": raw('{"title": "title",\n "title": "B"}', "duplicate_key", 2, 2, '"title"'),
    "duplicate key inside": raw(
        '{"title": "T", "prompt": "per_run perRun",\n "limits": {"maxTurns": 1, "maxTurns": 2}}',
        "duplicate_key", 2, 28, '"maxTurns" stands twice', "keep one",
    ),
    "duplicate key by escape": raw('{"t": 1,\n "\\u0074": 2}', "duplicate_key", 2, 2, '"t"'),
    "duplicate key, then broken": raw('{"a": 1, "a": 2,\n "b" 3}', "bad_json", 2, 6, "colon"),
    "trailing comma": raw('{"title": "T",\n}', "bad_json", 1, 14, "comma", "take it away"),
    "trailing comma in a list": raw('{"a": [1,\n]}', "bad_json", 1, 9, "comma", "take it away"),
    "missing comma": raw('{"title": "T"\n "prompt": "x"}', "bad_json", 2, 2, "comma", "missing"),
    "missing colon": raw('{"title" "T"}', "bad_json", 1, 10, "colon"),
    "missing value": raw('{"title": }', "bad_json", 1, 11, "value"),
    "line comment": raw('{\n // the title\n "title": "T"}', "bad_json", 2, 2, "key", "no comments"),
    "block comment": raw('{"title": /* T */ "T"}', "bad_json", 1, 11, "value", "no comments"),
    "hash comment": raw('{\n # T\n "title": "T"}', "bad_json", 2, 2, "key", "no comments"),
    "single quotes": raw("{'title': 'T'}", "bad_json", 1, 2, "key", "double quotes"),
    "curly quotes": raw("{“title”: 1}", "bad_json", 1, 2, "key", "straight double quotes"),
    "Python words": raw('{"a": True}', "bad_json", 1, 7, "value", "true, false and null"),
    "unquoted text": raw('{"title": Daily}', "bad_json", 1, 11, "value", "double quotes"),
    "unquoted key": raw('{title: "T"}', "bad_json", 1, 2, "a key in double quotes"),
    "line break in a text": raw('{"prompt": "a\nb"}', "bad_json", 1, 14, "line break", r"\n"),
    "tab in a text": raw('{"prompt": "a\tb"}', "bad_json", 1, 14, "control character"),
    "unknown escape": raw(r'{"prompt": "a\d"}', "bad_json", 1, 14, "escape", r"\\"),
    "unescaped quote": raw('{"prompt": "say "x" "}', "bad_json", 1, 18, "comma"),
    "two objects": raw("{}\n{}", "bad_json", 2, 1, "goes on"),
    "NaN": raw('{"NaN": "NaN",\n "a": NaN}', "bad_json", 2, 7, "NaN is not a JSON number"),
    "Infinity": raw('{"a": -Infinity}', "bad_json", 1, 7, "-Infinity"),
    "too large a float": raw('{"a": "1e999",\n "b": 1e999}', "bad_json", 2, 7, "too large"),
    "a 5,000-digit integer": raw('{"a":\n ' + "7" * 5000 + "}", "bad_json", 2, 2, "too large"),
    "lone surrogate": raw('{"a": "\\\\ud800",\n "b": "\\ud800"}', "bad_json", 2, 8, "surrogate"),
    "surrogates in disorder": raw('{"b": "\\udc00\\ud800"}', "bad_json", 1, 8, "surrogate"),
}  # fmt: skip

KEYS = {
    "no title": raw('{"prompt": "x"}', "missing_key", 1, 1, "title", '"title": '),
    "empty title": raw('{\n"title": " ", "prompt": "x"}', "empty", 2, 1, "title must not be empty"),
    "null title": raw('{"title": null, "prompt": "x"}', "missing_key", 1, 1, "title"),
    "title and name": key('"name": "N"', "conflict", "title and name", "keep title"),
    "a number as title": raw('{"title": 7, "prompt": "x"}', "wrong_type", 1, 2,
                             "title must be a text, not a number", 'in quotes: "7"'),
    "unknown key": key('"shedule": "0 9 * * *"', "unknown_key", '"shedule"', '"schedule"'),
    "unknown key, nothing near": key('"zzz": 1', "unknown_key", '"zzz"'),
    "a very long unknown key": key(f'"{"k" * 9000}": 1', "unknown_key", "kkk…"),
    "unknown key in limits": key('"limits": {"timeOutSecs": 9}', "unknown_key",
                                 '"timeOutSecs" in limits', '"timeoutSeconds"', at=(4, 13)),
    "unknown key in writes": key('"limits": {"writes": {"perDay": 9}}', "unknown_key",
                                 "limits.writes", "perRun, perHour", at=(4, 24)),
    "unknown key in a target": key('"delivery": {"targets": [{"typ": "webhook"}]}', "unknown_key",
                                   "delivery.targets[0]", '"type"', at=(4, 28)),
    "unknown key in a schedule": key('"schedule": {"crom": "0 9 * * *"}', "unknown_key",
                                     "schedule", '"cron"', at=(4, 15)),
    "unknown key in a trigger": key('"triggers": [{"type": "manual", "shedule": 1}]', "unknown_key",
                                    "triggers[0]", '"schedule"', at=(4, 34)),
    "unknown key in webhookAuth": key('"webhookAuth": {"type": "github", "secrets": []}',
                                      "missing_key", "webhookAuth.secret is missing", "env:NAME"),
    "unknown key in catchUp": key('"catchUp": {"with": "1h"}', "unknown_key", "catchUp",
                                  '"within"', at=(4, 14)),
    "unknown key in retry": key('"retry": {"attempt": 2}', "unknown_key", "retry", '"attempts"',
                                at=(4, 12)),
    "unknown key in a message": work('"messages": [{"role": "user", "text": "x"}]', "missing_key",
                                     "messages[0].content is missing", at=(3, 15)),
    "a key of limits at the top": key('"timeoutSeconds": 9', "unknown_key", "timeoutSeconds",
                                      'inside "limits"'),
    "a key of the top in limits": key('"limits": {"retry": {}}', "unknown_key", "retry",
                                      "top level", at=(4, 13)),
    "cron at the top": key('"cron": "0 9 * * *"', "unknown_key", '"cron"', 'inside "schedule"'),
    "one key in two spellings": key('"catchUp": {}, "catch_up": {}', "duplicate_key",
                                    '"catchUp" and "catch_up"', 'keep "catchUp"', at=(4, 17)),
    "two spellings inside": key('"limits": {"max_turns": 1, "maxTurns": 2}', "duplicate_key",
                                "two spellings of one key", at=(4, 13)),
    "null limits": key('"limits": null', "wrong_type", "limits must be an object, not null"),
    "null metadata": key('"metadata": null', "wrong_type", "metadata must be an object"),
    "null status": key('"status": null', "wrong_value", "status must be", None),
    "null writeEnabled": key('"writeEnabled": null', "wrong_type", "true or false, not null"),
    "a list as limits": key('"limits": [1]', "wrong_type", "limits must be an object, not a list"),
    "a text as number": key('"limits": {"maxTurns": "9"}', "wrong_type",
                            "limits.maxTurns must be a whole number, not a text",
                            "without quotes: 9", at=(4, 13)),
    "a float as number": key('"limits": {"concurrency": 1.5}', "wrong_type",
                             "must be a whole number, not 1.5", at=(4, 13)),
    "1.0 as number": key('"limits": {"concurrency": 1.0}', "wrong_type", "not 1.0", at=(4, 13)),
    "true as number": key('"limits": {"maxTurns": true}', "wrong_type", "not true", at=(4, 13)),
    "snake_case is named as written": key('"limits": {"max_turns": 0}', "wrong_value",
                                          "limits.max_turns must be at least 1", at=(4, 13)),
    "limits too small": key('"limits": {"concurrency": 0}', "wrong_value", "at least 1, not 0",
                            at=(4, 13)),
    "limits too large": key('"limits": {"timeoutSeconds": 86401}', "wrong_value",
                            "at most 86,400, not 86401", at=(4, 13)),
    "a huge integer": key('"limits": {"maxTokens": 99999999999999999999999}', "wrong_value",
                          "at most 1,000,000,000", at=(4, 13)),
    "an unknown onLimit": key('"limits": {"onLimit": "skipp"}', "wrong_value", '"skip" or "queue"',
                              '"skip"', at=(4, 13)),
    "temperature too high": key('"temperature": 2.5', "wrong_value", "at most 2, not 2.5"),
    "temperature as text": key('"temperature": "warm"', "wrong_type", "a number, not a text"),
    "an unknown status": key('"status": "activ"', "wrong_value", '"activ"', '"active"'),
    "a text as list": key('"connections": "crm"', "wrong_type", "connections must be a list",
                          '["crm"]'),
    "a number in a list": key('"tools": ["crm.*", 3]', "wrong_type", "tools[1] must be a text",
                              at=(4, 21)),
    "an empty model list": key('"model": []', "wrong_value", "model must not be empty"),
    "an empty model": key('"model": ""', "empty", "model must not be empty"),
    "a tool of no connection": key('"tools": ["requst"]', "bad_tool", '"requst"', '"request"',
                                   at=(4, 12)),
    "writeEnabled in quotes": key('"writeEnabled": "true"', "wrong_type", "true or false",
                                  "without quotes"),
    "writeEnabled by number": key('"writeEnabled": 1', "wrong_type", "not a number"),
    "writeEnabled snake_case": key('"write_enabled": "yes"', "wrong_type", "write_enabled must be"),
    "a bad lookupKey": key('"lookupKey": "No Slug"', "wrong_value", 'lookupKey: "No Slug" is not a slug', "lower-case"),
    "afterWrites as text": key('"retry": {"afterWrites": "true"}', "wrong_type", "true or false",
                               "without quotes: true", at=(4, 12)),
}  # fmt: skip

STARTS = {
    "bad cron": key('"schedule": "61 9 * * *"', "bad_cron", "schedule: minute 61", "0 to 59"),
    "six fields": key('"schedule": "0 0 9 * * *"', "bad_cron", "five fields, not 6", "seconds"),
    "words as cron": key('"schedule": "every morning"', "bad_cron", "five fields", "minute hour"),
    "L": key('"schedule": "0 9 L * *"', "bad_cron", "day of month", "other schedulers"),
    "the 30th of February": key('"schedule": "0 0 30 2 *"', "bad_cron", "never due"),
    "an unknown alias": key('"schedule": "@fortnightly"', "bad_cron", "@fortnightly", "@daily"),
    "bad cron in an object": key('"schedule": {"cron": "* * * *"}', "bad_cron", "five fields",
                                 at=(4, 15)),
    "empty schedule": key('"schedule": ""', "empty", "schedule must not be empty"),
    "an empty schedule object": key('"schedule": {}', "one_of", "exactly one of", '{"cron": '),
    "cron and every": key('"schedule": {"cron": "0 9 * * *", "every": "1h"}', "one_of",
                          "exactly one of", "cron and every"),
    "a number as schedule": key('"schedule": 5', "wrong_type", "a cron expression or an object, not a number"),
    "every 30 s": key('"schedule": {"every": "30s"}', "interval_too_short", "a minute", "60s",
                      at=(4, 15)),
    "bad every": key('"schedule": {"every": "soon"}', "bad_duration", '"soon"', '"15m"',
                     at=(4, 15)),
    "every 0": key('"schedule": {"every": "0m"}', "bad_duration", "between 1s", at=(4, 15)),
    "every as number": key('"schedule": {"every": 15}', "wrong_type", "a duration in quotes", '"15m"',
                           at=(4, 15)),
    "bad at": key('"schedule": {"at": "tomorrow"}', "bad_time", '"tomorrow"', "2026-", at=(4, 15)),
    "at in the year 1": key('"schedule": {"at": "0001-01-01T00:00:00+14:00"}', "bad_time", "1970",
                            at=(4, 15)),
    "startAt in the year 9999": key(
        '"schedule": {"every": "1h", "startAt": "9999-12-31T23:59:59-12:00"}', "bad_time",
        "schedule.startAt", at=(4, 30)),
    "endAt before startAt": key(
        '"schedule": {"every": "1h", "startAt": "2026-02-01", "endAt": "2026-01-01"}', "never_due",
        "never due", "startAt ≤ time < endAt", at=(4, 55)),
    "at after endAt": key('"schedule": {"at": "2026-02-01", "endAt": "2026-01-01"}', "never_due",
                          "never due", at=(4, 35)),
    "bad zone": key('"timezone": "Europe/Berln"', "bad_zone", '"Europe/Berln"', '"Europe/Berlin"'),
    "a city as zone": key('"timezone": "Berlin"', "bad_zone", "IANA", '"Europe/Berlin"'),
    "an offset as zone": key('"timezone": "+02:00"', "bad_zone", "IANA time zone"),
    "bad zone of a schedule": key('"schedule": {"cron": "0 9 * * *", "timezone": "Mars"}',
                                  "bad_zone", "schedule.timezone", "for example", at=(4, 36)),
    "catchUp too long": key('"catchUp": {"within": "99999d"}', "bad_duration", "3650d",
                            at=(4, 14)),
    "words as trigger": key('"trigger": "each morning"', "unknown_trigger", '"each morning"',
                            "the names of events"),
    "event without a name": key('"trigger": "event"', "missing_key", "names no event",
                                "github.issues.opened"),
    "an event without a name": key('"triggers": [{"type": "event"}]', "missing_key",
                                   "it names no event", "github.*", at=(4, 15)),
    "an event as a type": key('"triggers": [{"type": "github.push"}]', "unknown_trigger",
                              "no type of trigger", '{"type": "event", "event": "github.push"}',
                              at=(4, 16)),
    "a type with a typo": key('"triggers": [{"type": "evnt"}]', "unknown_trigger", '"evnt"',
                              '"event"', at=(4, 16)),
    "a name with a space": key('"triggers": [{"type": "event", "event": "a b"}]', "bad_event",
                               '"a b" is not the name', "github.*", at=(4, 33)),
    "an event with a schedule": key('"trigger": "a.b", "schedule": "@daily"', "conflict",
                                    'trigger "a.b" does not use the schedule', "a list",
                                    at=(4, 20)),
    "an event and eventConditions": key(
        '"trigger": "a.b", "eventConditions": [{"event": "c.d"}]', "conflict",
        "both name events", "keep eventConditions"),
    "eventConditions and a schedule": key(
        '"schedule": "@daily", "eventConditions": [{"event": "c.d"}]', "conflict",
        'trigger "cron" does not use eventConditions', "a list of triggers", at=(4, 24)),
    "eventConditions and a filter": key(
        '"filter": {"x": 1}, "eventConditions": [{"event": "c.d"}]', "conflict",
        "filter and eventConditions", "into each condition"),
    "no eventConditions": key('"eventConditions": []', "wrong_value", "must not be empty"),
    "a condition without an event": key('"eventConditions": [{"filter": {"x": 1}}]', "missing_key",
                                        "it names no event", at=(4, 22)),
    "a condition with two events": key(
        '"eventConditions": [{"event": "a.b", "eventType": "a.b"}]', "conflict",
        "event and eventType are the same thing", "keep event", at=(4, 39)),
    "a condition with two filters": key(
        '"eventConditions": [{"event": "a.b", "filter": {"x": 1}, "payloadFilter": {"x": 1}}]',
        "conflict", "filter and payloadFilter are the same thing", at=(4, 59)),
    "a filter without an event": key('"filter": {"x": 1}', "conflict",
                                     'trigger "manual" does not use filter', "name the event"),
    "params of a schedule": key('"schedule": "@daily", "params": {"x": 1}', "conflict",
                                'trigger "cron" does not use params', at=(4, 24)),
    "actors of a manual trigger": key('"triggers": [{"type": "manual", "actors": "github:*"}]',
                                      "conflict", "actors belongs to triggers of type event",
                                      at=(4, 34)),
    "a connection of a webhook": key('"triggers": [{"type": "webhook", "connection": "crm"}]',
                                     "conflict", "connection belongs to triggers of type event",
                                     at=(4, 35)),
    "a filter beside triggers": key('"triggers": [{"type": "webhook"}], "filter": {"x": 1}',
                                    "conflict", "triggers and filter", "move filter into triggers",
                                    at=(4, 37)),
    "nobody's actors": key('"trigger": "a.b", "actors": []', "wrong_value", "must not be empty",
                           at=(4, 20)),
    "an actor by words": key('"trigger": "a.b", "actors": ["Ada Lovelace"]', "bad_actor",
                             "names nobody", "github:octocat", at=(4, 31)),
    "a dotted path": key('"trigger": "a.b", "filter": {"op": "eq", "path": "x.y", "value": 1}',
                         "bad_filter", "path must be a list", at=(4, 20)),
    "an unknown op": key('"trigger": "a.b", "filter": {"op": "equals", "path": ["x"], "value": 1}',
                         "bad_filter", '"equals" is no op', at=(4, 20)),
    "params by a list": key('"trigger": "a.b", "params": {"x": ["y"]}', "bad_params",
                            "x: must be a scalar", "contains", at=(4, 20)),
    "runAs twice": key('"runAs": "ada", "runAsUser": "ada"', "conflict",
                       "runAs and runAsUser are the same thing", "keep runAs", at=(4, 18)),
    "cron without schedule": key('"trigger": "cron"', "missing_key", "needs a schedule",
                                 '"schedule": '),
    "webhook with schedule": key('"trigger": "webhook", "schedule": "0 9 * * *"', "conflict",
                                 'trigger "webhook"', "list of triggers", at=(4, 24)),
    "manual with schedule": key('"trigger": "manual", "schedule": "0 9 * * *"', "conflict",
                                'trigger "manual"', at=(4, 23)),
    "schedule with webhookAuth": key(
        '"schedule": "0 9 * * *", "webhookAuth": {"type": "github", "secret": "env:S"}', "conflict",
        "does not use webhookAuth", "list of triggers", at=(4, 27)),
    "trigger and triggers": key('"trigger": "manual", "triggers": [{"type": "manual"}]', "conflict",
                                "two ways of one thing", "move trigger into triggers"),
    "no triggers": key('"triggers": []', "wrong_value", "triggers must not be empty"),
    "too many triggers": key(f'"triggers": [{", ".join(["{}"] * 101)}]', "wrong_value",
                             "triggers must not have more than 100 entries"),
    "a trigger without type": key('"triggers": [{"schedule": "0 9 * * *"}]', "missing_key",
                                  "triggers[0].type is missing", at=(4, 15)),
    "a cron trigger without schedule": key('"triggers": [{"type": "cron"}]', "missing_key",
                                           "needs a schedule", '"schedule": ', at=(4, 15)),
    "a schedule in a webhook trigger": key(
        '"triggers": [{"type": "webhook", "schedule": "0 9 * * *"}]', "conflict",
        "schedule belongs to triggers of type cron", at=(4, 35)),
    "two webhooks": key('"triggers": [{"type": "webhook"}, {"type": "webhook"}]', "conflict",
                        "one webhook URL"),
    "an unknown signature": key('"webhookAuth": {"type": "hmac", "secret": "env:S"}',
                                "unknown_scheme", '"hmac"', "hmac-sha256", at=(4, 18)),
    "a header for stripe": key(
        '"webhookAuth": {"type": "stripe", "secret": "env:S", "header": "X-S"}', "conflict",
        "stripe knows its header", "hmac-sha256", at=(4, 55)),
    "a header for github": key(
        '"webhookAuth": {"type": "github", "secret": "env:S", "header": "X-S"}', "conflict",
        "knows its header", at=(4, 55)),
    "a header that is none": key(
        '"webhookAuth": {"type": "hmac-sha256", "secret": "env:S", "header": "X S\\r\\n"}',
        "bad_header", "webhookAuth.header", "X-Hub", at=(4, 60)),
    "a literal secret": key('"webhookAuth": {"type": "github", "secret": "planted"}',
                            "secret_in_file", "does not belong into a file", ".env", at=(4, 36)),
    "no secrets": key('"webhookAuth": {"type": "github", "secret": []}', "wrong_value",
                      "webhookAuth.secret must not be empty", at=(4, 36)),
}  # fmt: skip

WORK = {
    "nothing runs": raw('{"title": "T"}', "one_of", 1, 1, "nothing says what runs", "promptFile"),
    "empty prompt": work('"prompt": " \\n"', "empty", "prompt must not be empty"),
    "null prompt": work('"prompt": null', "one_of", "nothing says", at=(1, 1)),
    "prompt and messages": work('"prompt": "x", "messages": "y"', "one_of",
                                "prompt and messages say twice", at=(3, 17)),
    "prompt and promptFile": work('"prompt": "x", "prompt_file": "prompts/long.md"', "one_of",
                                  "prompt and prompt_file say twice", at=(3, 17)),
    "promptFile and messages": work('"messages": "x", "promptFile": "prompts/long.md"', "one_of",
                                    "messages and promptFile say twice", at=(3, 19)),
    "a prompt file that is missing": work('"promptFile": "gone.md"', "no_such_file", "'gone.md'"),
    "a prompt file outside": work('"promptFile": "../x.md"', "outside", "workspace"),
    "an empty prompt file": work('"promptFile": "prompts/empty.md"', "empty", "prompts/empty.md"),
    "a prompt file that is a reference": work('"promptFile": "prompts/secret.md"', "env_not_here",
                                              "env:API_KEY"),
    "a number as prompt file": work('"promptFile": 3', "wrong_type", "promptFile must be a text"),
    "no messages": work('"messages": []', "wrong_value", "messages must not be empty"),
    "the agent's message last": work(
        '"messages": [{"role": "assistant", "content": "x"}]', "bad_messages",
        "messages[0] is the last message", "the prompt", at=(3, 16)),
    "an unknown role": work('"messages": [{"role": "human", "content": "x"}]', "wrong_value",
                            "messages[0].role", at=(3, 16)),
    "env as prompt": work('"prompt": "env:API_KEY"', "env_not_here", "not resolved", "prompt"),
}  # fmt: skip

DELIVERY = {
    "ftp": url("ftp://x.example/y", "bad_url", "ftp://x.example/y", "https://"),
    "no scheme": url("hooks.example/x", "bad_url", "http or https", "https://"),
    "no host": url("https:///x", "bad_url", "names no host"),
    "a password": url("https://u:planted@x.example", "bad_url", "user name or password", "env:"),
    "env inside": url("https://x.example/env:TOKEN", "bad_env", "whole value", '"env:NAME"'),
    "dollar inside": url("https://x.example/${TOKEN}", "bad_env", "whole value"),
    "a line break": url("https://x.example/\r\nX: y", "bad_text", "line break"),
    "a space": url("https://x.example/a b", "bad_url", "space"),
    "a port that is none": url("https://x.example:99999/", "bad_url", "port"),
    "brackets": url("https://[::1/", "bad_url", "not a URL"),
    "an empty variable": url("env:", "bad_env", "names no environment variable", "env:NAME"),
    "a variable with spaces": url("env:MY KEY", "bad_env", "env:MY KEY", "whole value"),
    "an empty URL": url("", "empty", "delivery.targets[0].url must not be empty"),
    "unknown target": key('"delivery": "reprots"', "unknown_target", '"reprots"', '"reports"'),
    "unknown target, nothing near": key('"delivery": {"targets": ["zzz"]}', "unknown_target",
                                        '"zzz"', "amodal.json", at=(4, 27)),
    "no targets": key('"delivery": {"targets": []}', "wrong_value", "targets must not be empty",
                      at=(4, 15)),
    "targets missing": key('"delivery": {"template": "x"}', "missing_key",
                           "delivery.targets is missing"),
    "a target without type": key('"delivery": {"targets": [{"url": "https://x.example"}]}',
                                 "missing_key", "needs a type", '"webhook"', at=(4, 27)),
    "a target of unknown type": key('"delivery": {"targets": [{"type": "email"}]}', "wrong_value",
                                    '"webhook" or "callback", not "email"', at=(4, 28)),
    "a webhook without url": key('"delivery": {"targets": [{"type": "webhook"}]}', "missing_key",
                                 "needs a url", '"url": ', at=(4, 27)),
    "a callback with url": key(
        '"delivery": {"targets": [{"type": "callback", "url": "https://x.example"}]}', "conflict",
        "url belongs to webhook targets", at=(4, 48)),
    "a webhook with name": key(
        '"delivery": {"targets": [{"type": "webhook", "url": "env:U", "name": "x"}]}', "conflict",
        "name belongs to callback targets", "label", at=(4, 63)),
    "a literal signing secret": key(
        '"delivery": {"targets": [{"type": "webhook", "url": "env:U", "secret": "planted"}]}',
        "secret_in_file", "does not belong", ".env", at=(4, 63)),
    "an unknown format": key(
        '"delivery": {"targets": [{"type": "webhook", "url": "env:U", "format": "slak"}]}',
        "wrong_value", '"json" or "slack"', '"slack"', at=(4, 63)),
    "an alert without targets": key('"failure_alert": {"after": 2}', "missing_key",
                                    "failure_alert.targets is missing"),
    "an alert after 0": key('"failureAlert": {"after": 0, "targets": ["reports"]}', "wrong_value",
                            "failureAlert.after must be at least 1", at=(4, 19)),
    "an alert's unknown target": key('"failure_alert": {"targets": ["oncal"]}', "unknown_target",
                                     '"oncal"', '"oncall"', at=(4, 32)),
    "an endless cooldown": key(
        '"failureAlert": {"cooldownMinutes": 99999999999, "targets": ["reports"]}', "wrong_value",
        "at most 525,600", at=(4, 19)),
}  # fmt: skip

LATER = (
    "workflow config config_id command inputSchema prefills invokeAuth profile writes expect "
    "acknowledge"
).split()
NOT_YET = {
    **{f"later: {name}": key(f'"{name}": {{}}', "not_yet", f"{name} is not built yet",
                             "take the key away") for name in LATER},
    "later: propose": key('"writeEnabled": "propose"', "not_yet", "propose", "read-only"),
    "later: limits.maxCostUsd": key('"limits": {"maxCostUsd": 5}', "not_yet", "limits.maxCostUsd",
                                    at=(4, 13)),
    "later: limits.maxCostUsdPerDay": key('"limits": {"max_cost_usd_per_day": 5}', "not_yet",
                                          "limits.max_cost_usd_per_day", at=(4, 13)),
}  # fmt: skip

FRONT_MATTER = {
    "not closed": page("---\ntitle: T\n", "bad_yaml", 1, 1, "not closed", "---"),
    "a line before it": page("\n---\ntitle: T\n---\nx", "bad_yaml", 2, 1, "not at the start"),
    "four dashes": page("----\ntitle: T\n----\nx", "bad_yaml", 1, 1, "not at the start", "---"),
    "a list": page("---\n- a\n---\nx", "wrong_type", 2, 1, "keys and values"),
    "a text": page("---\njust words\n---\nx", "wrong_type", 2, 1, "keys and values"),
    "empty": page("---\n---\nLook.\n", "missing_key", 2, 1, "title"),
    "only a body's title": page("---\n\n---\n# T\n", "missing_key", 2, 1, "title"),
    "no body": page("---\ntitle: T\n---\n \n", "one_of", 2, 1, "nothing says what runs"),
    "anchor": front("metadata: &a {}", "bad_yaml", 3, 11, "anchors", "write the value out"),
    "alias": front("metadata: {x: *a}", "bad_yaml", 3, 15, "aliases", "quotes"),
    "tag": front("metadata: !!python/object:os.system {}", "bad_yaml", 3, 11, "tags"),
    "own tag": front("description: !secret x", "bad_yaml", 3, 14, "tags"),
    "merge key": front("metadata: {<<: {a: 1}}", "bad_yaml", 3, 12, "merge keys", "write the keys"),
    "duplicate key": front("status: draft\nstatus: active", "duplicate_key", 4, 1, '"status"'),
    "two spellings": front("catchUp: {}\ncatch_up: {}", "duplicate_key", 4, 1, "two spellings"),
    "tab": front("limits:\n\tmaxTurns: 3", "bad_yaml", 4, 1, "tab", "spaces"),
    "unclosed list": front("connections: [a, b", "bad_yaml", 3, 14, "not closed"),
    "a colon in a text": front("description: a: b", "bad_yaml", 3, 15, "colon", "quotes"),
    "an unquoted star": front("schedule: * * * * *", "bad_yaml", 3, 11, "needs quotes", "as in"),
    "an unquoted at sign": front("schedule: @daily", "bad_yaml", 3, 11, "begin with", "quotes"),
    "an unclosed quote": front('description: "a', "bad_yaml", 3, 14, "quote is not closed"),
    "a number as key": front("7: x", "bad_yaml", 3, 1, "a key must be a text, not 7", "quotes"),
    "a list as key": front("[a]: x", "bad_yaml", 3, 1, "a key must be a text, not a list"),
    "a number as title": page("---\ntitle: 2026\n---\nx", "wrong_type", 2, 1, "title must be a text",
                              '"2026"'),
    "yes is a text": front("writeEnabled: yes", "wrong_type", 3, 1, "true or false, not a text"),
    "infinity": front("temperature: .inf", "bad_yaml", 3, 14, '".inf"', "quotes"),
    "a sign and nothing": front("temperature: -_", "bad_yaml", 3, 14, "-_", "quotes"),
    "a huge integer": front(f"metadata: {{a: {'7' * 5000}}}", "bad_yaml", 3, 15, "no value"),
    "a date as time": front("schedule: {at: 2026-02-30}", "bad_time", 3, 12, "2026-02-30"),
    "unknown key": front("connexions: []", "unknown_key", 3, 1, '"connexions"', '"connections"'),
    "bad cron": front("schedule:\n  cron: 0 25 * * *", "bad_cron", 4, 3, "hour 25"),
    "prompt twice": front("prompt: x", "one_of", 3, 1, "prompt and the text below", "take prompt"),
    "messages twice": front("messages: x", "one_of", 3, 1, "messages and the text below"),
    "env as body": page("---\ntitle: T\n---\n\n  env:API_KEY\n", "env_not_here", 5, 3, "env:API_KEY"),
    "control character": front("description: a\x07b", "bad_yaml", 3, 15, "control character"),
    "too deep": front("metadata: {a: " + "[" * 40 + "]" * 40 + "}", "too_deep", 3, 46, "32 levels"),
    "far too deep": front("metadata: " + "[" * 9000, "too_deep", 2, 1, "32 levels"),
    "too long": front("description: " + "x" * 70_000, "too_large", 1, 1, "at most 65,536", "below"),
    "a directive": front("%YAML 1.1", "bad_yaml", 4, 1, "%", "quotes"),
    "latin-1": page("---\ntitle: Grü\n---\nx".encode("latin-1"), "not_utf8", 2, 10, "0xfc"),
}  # fmt: skip

LEGACY = {
    "no heading": page("Schedule: 0 9 * * *\n\n## Check\n\nx", "missing_title", 1, 1,
                       "no heading", "# Title"),
    "an empty heading": page("#\n\n## Check\n\nx", "missing_title", 1, 1, "no title"),
    "only the prefix": page("# Automation:\n\n## Check\n\nx", "missing_title", 1, 1, "no title"),
    "two titles": page("# A\n\n# B\n\n## Check\n\nx", "ambiguous", 3, 1, "two headings", "keep one"),
    "no check": page("# A\n\nLook.\n", "missing_check", 1, 1, "## Check", "begin the file with ---"),
    "check in lower case": page("# A\n\n## check\n\nx", "missing_check", 3, 1, "## Check", "exactly"),
    "check at another level": page("# A\n\n### Check\n\nx", "missing_check", 3, 1, "## Check"),
    "check in a code block": page("# A\n\n```\n## Check\n```\n", "missing_check", 1, 1, "## Check"),
    "two checks": page("# A\n## Check\nx\n## Check\ny", "ambiguous", 4, 1, "two sections"),
    "an empty check": page("# A\n\n## Check\n\n## Next\n", "empty", 3, 1, "empty", "below it"),
    "an empty schedule": page("# A\n\nSchedule:\n\n## Check\n\nx", "empty", 3, 1, "Schedule: is",
                              "0 9 * * *"),
    "two schedules": page("# A\nSchedule: @daily\nSchedule: @daily\n## Check\nx", "ambiguous", 3, 1,
                          "two lines"),
    "a schedule in the prompt": page("# A\n## Check\nx\n\nSchedule: @daily", "ambiguous", 5, 1,
                                     "schedule or prompt", "above"),
    "a schedule in bold": page("# A\n\n**Schedule:** @daily\n\n## Check\nx", "ambiguous", 3, 1,
                               "looks like the schedule", "begin the line"),
    "a schedule in a list": page("# A\n\n- Schedule: @daily\n\n## Check\nx", "ambiguous", 3, 1,
                                 "looks like the schedule"),
    "a webhook": page("# A\n\nRuns on webhook.\n\n## Check\nx", "ambiguous", 3, 1, "no webhook",
                      "---"),
    "bad cron": page("# A\n\nSchedule: each day\n\n## Check\nx", "bad_cron", 3, 1, "five fields"),
    "JSON": page('{"title": "T"}', "bad_markdown", 1, 1, "JSON", ".json"),
    "empty": page("", "empty_file", None, None, "empty"),
}  # fmt: skip

NAMES = {
    name: Wrong(b'{"title": "T", "prompt": "x"}', "bad_name", None, None, "cannot name", hint, file)
    for name, file, hint in (
        ("capitals", "automations/Daily Digest.json", "daily-digest.json"),
        ("umlaut", "automations/grüße.json", "gr-e.json"),
        ("a leading dash", "automations/-x.json", "x.json"),
        ("too long", f"automations/{'x' * 65}.json", "64 characters"),
        ("two endings", "automations/a.b.json", "a-b.json"),
        ("no stem", "automations/.json", "automation.json"),
    )
}

WRONG: dict[str, Wrong] = {
    f"{group}: {name}": wrong
    for group, cases in (
        ("source", SOURCE),
        ("key", KEYS),
        ("start", STARTS),
        ("work", WORK),
        ("delivery", DELIVERY),
        ("later", NOT_YET),
        ("front matter", FRONT_MATTER),
        ("legacy", LEGACY),
        ("name", NAMES),
    )
    for name, wrong in cases.items()
}
