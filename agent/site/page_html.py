"""The page's text. It brings all that it needs: nothing is fetched from anywhere else."""

import base64
import hashlib
from html import escape
from typing import Any, Final

from agent import status

STYLE: Final = """
:root { color-scheme: light dark; --back: #fbfbfa; --card: #fff; --line: #d5d5d2; --text: #1b1b1a;
  --dim: #5b5b58; --good: #17692f; --warn: #8a4b00; --bad: #b3111e }
@media (prefers-color-scheme: dark) { :root { --back: #161616; --card: #202020; --line: #3d3d3b;
  --text: #ececea; --dim: #a9a9a5; --good: #6fd08c; --warn: #f0b35a; --bad: #ff8d8d } }
body { margin: 0; padding: 1.5rem 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 44rem; margin: auto }
h1 { font-size: 1.25rem; margin: 0 0 1rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.25rem; margin: 0; padding: 1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
dt { color: var(--dim) }
dd { margin: 0; overflow-wrap: anywhere }
.good { color: var(--good) } .warn { color: var(--warn); font-weight: 600 }
.bad { color: var(--bad); font-weight: 600 }
p { color: var(--dim); font-size: .875rem }
a { color: inherit }
"""

SCRIPT: Final = """
const part = document.getElementById("part"), note = document.getElementById("note");
setInterval(async () => {
  try {
    const answer = await fetch("/part", { signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw answer.status;
    part.innerHTML = await answer.text();
    note.textContent = "As of " + new Date().toLocaleTimeString() + ".";
    note.removeAttribute("role");
  } catch {
    note.setAttribute("role", "alert");
    note.textContent = "The agent does not answer: what is above is old.";
  }
}, 2000);
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY: Final = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def whole(seen: dict[str, Any]) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Orvanta Edge: this site</title>
<style>{STYLE}</style>
<noscript><meta http-equiv="refresh" content="10"></noscript>
</head>
<body>
<main>
<h1>Orvanta Edge: this site</h1>
<div id="part">{part(seen)}</div>
<p><span id="note">As of now.</span> For machines: <a href="/status.json">status.json</a>,
<a href="/metrics">metrics</a></p>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def part(seen: dict[str, Any]) -> str:
    """What changes. Each row has its words; a colour only repeats them."""
    if "error" in seen:
        return f'<dl><dt>agent</dt><dd class="bad">{escape(str(seen["error"]))}</dd></dl>'
    rows = "".join(
        f'<dt>{escape(line.name)}</dt><dd class="{line.tone}">{escape(line.said)}</dd>'
        for line in status.lines(seen)
    )
    return f"<dl>{rows}</dl>"
