"""The child process that sends a notification with Apprise.

    python -m genrewatch.sinks.hooks.apprise_child <<< '{"urls": ["ntfy://TOPIC"], "title": "...", "body": "..."}'

With `"check": true` it only checks the addresses.
"""

import json
import logging
import sys

import apprise


def main() -> int:
    """Send the notification that standard input describes; return 1, with the reason on stderr, if a service fails."""
    request, services = json.load(sys.stdin), apprise.Apprise()
    logging.disable(logging.WARNING)
    for number, url in enumerate(request["urls"], 1):
        if not services.add(url):
            print(f"address {number} is not one that Apprise knows", file=sys.stderr)
            return 1
    logging.disable(logging.NOTSET)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)  # Apprise logs why a service fails
    if request.get("check") or services.notify(title=request["title"], body=request["body"]):
        return 0
    print("Apprise could not deliver the notification to every address", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
