# Three stages: the first two have pip and npm, the last only what the service needs to run.
FROM node:20-slim AS client
WORKDIR /src/client
COPY client/package.json client/package-lock.json client/.npmrc ./
RUN npm ci
COPY LICENSE /src/
COPY client/tsconfig.json client/serve.mjs client/README.md ./
COPY client/src ./src
COPY client/checkout ./checkout
COPY client/reference ./reference
RUN npm run build

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/onramp
WORKDIR /src
COPY requirements.lock ./
RUN /opt/onramp/bin/pip install --require-hashes --requirement requirements.lock

FROM python:3.11-slim
RUN groupadd --system --gid 10001 onramp && useradd --system --uid 10001 --gid onramp --home-dir /srv/onramp onramp
COPY --from=build /opt/onramp /opt/onramp
WORKDIR /srv/onramp
COPY kit ./kit
COPY chain ./chain
COPY treasury ./treasury
COPY onramp ./onramp
COPY contracts ./contracts
COPY --from=client /src/client/dist/served ./client/dist/served
# `treasury.toml*` is the deployment's own policy, if there is one. COPY needs one name that exists, which is the lock.
COPY requirements.lock treasury.toml* ./
RUN printf '#!/bin/sh\nexec /opt/onramp/bin/python -m onramp "$@"\n' > /usr/local/bin/onramp && chmod 755 /usr/local/bin/onramp
# As a number, so that platforms can see that it is not root.
USER 10001:10001
ENV PATH=/opt/onramp/bin:$PATH PYTHONPATH=/srv/onramp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production HOST=0.0.0.0 PORT=3001
EXPOSE 3001
# Calls the address in HOST, so that a container that listens on one IPv6 address only is healthy, too.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; h = os.environ['HOST'].split(',')[0].strip(' []'); h = '127.0.0.1' if h in ('0.0.0.0', '::') else h; u.urlopen('http://' + (f'[{h}]' if ':' in h else h) + ':' + os.environ['PORT'] + '/health', timeout=4)"]
CMD ["onramp", "serve"]
