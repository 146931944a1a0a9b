"""The page of an invitation's link: one button, because link previews open links and must not use them up."""

from typing import Final

POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
HTML: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Your API key</title><link rel="stylesheet" href="/docs/docs.css">
<script src="/invitation/page.js" defer></script></head>
<body><main><h1>You are invited</h1>
<p id="say" role="status">This link yields an API key, once. Keep it in a password manager as soon as you see it.</p>
<p><button id="take">Show my key</button></p><p><code id="key"></code></p></main></body></html>
"""
SCRIPT: Final = """
const say = document.getElementById('say');
const take = document.getElementById('take');
take.addEventListener('click', async () => {
  take.disabled = true;
  try {
    const answer = await fetch('/api/v1/invitations/accept', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token: location.hash.slice(1) }),
    });
    const body = await answer.json();
    if (!answer.ok) {
      say.textContent = body.detail;
      return;
    }
    history.replaceState(null, '', location.pathname);
    document.getElementById('key').textContent = body.secret;
    take.remove();
    const waits = new Date(body.activeFrom) > new Date();
    say.textContent = `The key of ${body.person}, with the role ${body.role}. It is not shown again.` +
      (waits ? ` It works from ${body.activeFrom}, or once an approver of another person confirms ${body.id}.` : '');
  } catch {
    take.disabled = false;
    say.textContent = 'The service did not answer. Nothing is lost; try again.';
  }
});
"""
