"""Shows secrets in every form that a tool may give them, torn into pieces: `show.py write SEED NAME...`.

`show.py list SEED NAME...` prints the same forms as JSON, for who wants to look for them. Values come from the
environment.
"""

import base64
import html
import json
import os
import random
import shlex
import sys
import urllib.parse
from xml.sax import saxutils


def between(text, shift, rest):
    """Base64 of the secret inside other text, and the part of it that the secret alone decides."""
    raw = text.encode()
    whole = base64.b64encode(b"#" * shift + raw + rest).decode()
    return whole, whole[[0, 2, 3][shift] : (shift + len(raw)) * 8 // 6]


def forms(text, random):
    """Pairs of what is shown and what of it must not be seen."""
    raw = text.encode()
    rest = bytes(random.randrange(256) for _ in range(random.randrange(4)))
    yield from (between(text, shift, rest) for shift in range(3))
    simple = [
        text,
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        urllib.parse.quote(text),
        urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus(text),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        html.escape(text),
        saxutils.escape(text),
        saxutils.escape(text, {'"': "&quot;", "'": "&apos;"}),
        text.replace("'", "''"),
        text.replace("\\", "\\\\").replace('"', '\\"'),
    ]
    quoted = shlex.quote(text)
    simple.append(quoted[1:-1] if quoted.startswith("'") else quoted)
    yield from ((form, form) for form in simple)
    for line in base64.encodebytes(raw * 4).decode().splitlines()[:1]:
        yield line, line[: len(raw) * 8 // 6]


def main():
    mode, seed, *names = sys.argv[1:]
    chance = random.Random(int(seed))
    pairs = [pair for name in names for pair in forms(os.environ[name], chance)]
    if mode == "list":
        print(json.dumps([hidden for _, hidden in pairs]))
        return
    for shown, _ in pairs:
        line = ("<" + shown + ">\n").encode()
        while line:
            size = chance.randint(1, max(1, len(line)))
            os.write(chance.choice([1, 1, 1, 2]) if size == len(line) else 1, line[:size])
            line = line[size:]


main()
