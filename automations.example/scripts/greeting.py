# What to say to somebody who is new. Who sends the event may give a name beside the account.
name = payload.get("name") or payload["user_id"]
print(f"{name} is new in {payload['thread_id']}")
{"text": f"Welcome, {name}! Say what you work on, and ask whatever you like."}
