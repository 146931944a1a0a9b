"""The libraries that the console loads, each with the hash of the file that was reviewed. Another file under the same name is not served.

`client/serve.mjs` copies them from packages that npm has verified against `client/package-lock.json`.
"""

from typing import Final

VENDORED: Final = {
    "lit-html.js": "Ps1YVHCHHjY4/EJelORTqhvUxLDIj+1JtJ+WdGNmaLQkxGRiS8j18AjeI026mh3hcT3oF4D46pzRyx43ODiG5g==",
    "uplot.css": "xXYYvGoPqOjhMwkpkxWTDv7HvlyrkyEqzc4USFr/ZtBYC7eklE3DNBDccqiMj2VzRKSffZzeqVRckdYzJx9qfQ==",
    "uplot.js": "MSbSgC2+xj4sa/l0EeyGltDxiHnV4fQW9eypEIFjfijvAcpaRi4P12Q2PinS39Tb5dNV6c6cbL9DNuwkxlXVjw==",
    "uqr.js": "FB/mmpPnUQgeAfz1ZXjJdmdVj1s1P4wBzrUn+XQjjGls/2uJZdmkNCKXbqQKQoe0tqZLzXQGKFhzNbl9jJ175g==",
}
"""File name -> SHA-512 in base64: lit-html 3.3.3, uPlot 1.6.32 and uqr 0.1.3."""
