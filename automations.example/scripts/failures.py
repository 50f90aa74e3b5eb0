# One more failure of this source: `before` is null the first time.
source = payload.get("source_id") or payload["ingestion_id"]
error = payload.get("error") or "no reason was given"
failures = 1
if inputs["before"]:
    failures = inputs["before"]["failures"] + 1
times = "once" if failures == 1 else f"{failures} times in a row"
print(f"{source} failed, {failures} in a row")
{
    "source": source,
    "failures": failures,
    "error": error,
    "text": f"{source} could not be read {times}: {error}",
}
