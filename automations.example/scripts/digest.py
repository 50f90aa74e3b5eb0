# What ran, counted by how it ended, and the newest error of each automation that failed.
counts = {"completed": 0, "failed": 0, "skipped": 0, "cancelled": 0}
broken = {}
for run in inputs["runs"]["body"]:
    status = run["status"]
    if status in counts:
        # Consecutive slots that were skipped share one row.
        counts[status] = counts[status] + run["count"]
    if status == "failed" and run["automation"] not in broken:
        broken[run["automation"]] = run["error"] or run["reason"]

said = ", ".join([f"{count} {status}" for status, count in counts.items()])
print(said)
lines = [f"In the last day: {said}."]
for name, error in broken.items():
    lines.append(f"- {name}: {error}")
{"counts": counts, "broken": broken, "text": "\n".join(lines)}
