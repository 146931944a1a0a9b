# Three stages: the first two have pip and npm, the last only what the service needs to run.
# Both bases are pinned by the digest of their multi-platform index. Renew them together with the locks: `docker buildx imagetools
# inspect python:3.11-slim-bookworm` shows the present one.
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${NODE_IMAGE} AS client
WORKDIR /src/client
COPY client/package.json client/package-lock.json client/.npmrc ./
RUN npm ci --ignore-scripts
COPY LICENSE /src/
COPY client/tsconfig.json client/serve.mjs client/README.md ./
COPY client/src ./src
COPY client/checkout ./checkout
COPY client/reference ./reference
RUN npm run build

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock deploy/image/trim.py ./
RUN python -m venv --without-pip /opt/onramp \
    && python -m pip --python /opt/onramp/bin/python install --no-compile --require-hashes --requirement requirements.lock \
    && python trim.py /opt/onramp/lib/python3.11/site-packages
WORKDIR /srv/onramp
COPY kit ./kit
COPY chain ./chain
COPY treasury ./treasury
COPY onramp ./onramp
COPY contracts ./contracts
COPY --from=client /src/client/dist/served ./client/dist/served
COPY deploy/image/compile_imported.py /src/
RUN PYTHONPATH=/srv/onramp PYTHONPYCACHEPREFIX=/srv/pycache /opt/onramp/bin/python /src/compile_imported.py

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 onramp && useradd --system --uid 10001 --gid onramp --home-dir /srv/onramp onramp \
    && python -m pip uninstall --yes --quiet pip setuptools wheel \
    && rm -r "$(python -c 'import ensurepip; print(*ensurepip.__path__)')" \
    && printf '#!/bin/sh\nexec /opt/onramp/bin/python -m onramp "$@"\n' > /usr/local/bin/onramp && chmod 755 /usr/local/bin/onramp
COPY --from=build /opt/onramp /opt/onramp
COPY --from=build /srv /srv
WORKDIR /srv/onramp
# `treasury.toml*` is the deployment's own policy, if there is one. COPY needs one name that exists, which is the lock.
COPY requirements.lock treasury.toml* ./
ENV PATH=/opt/onramp/bin:$PATH PYTHONPATH=/srv/onramp PYTHONPYCACHEPREFIX=/srv/pycache PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production HOST=0.0.0.0 PORT=3001
# As a number, so that platforms can see that it is not root.
USER 10001:10001
EXPOSE 3001
STOPSIGNAL SIGTERM
# Calls the address in HOST, so that a container that listens on one IPv6 address only is healthy, too.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; h = os.environ['HOST'].split(',')[0].strip(' []'); h = '127.0.0.1' if h in ('0.0.0.0', '::') else h; u.urlopen('http://' + (f'[{h}]' if ':' in h else h) + ':' + os.environ['PORT'] + '/health', timeout=4)"]
CMD ["onramp", "serve"]
# Last, because it changes with every commit. The service shows it: `onramp --version`, `onramp_build_info`, each start in the log.
ARG REVISION=""
ENV ONRAMP_REVISION=${REVISION}
LABEL org.opencontainers.image.title="onramp" org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.revision=${REVISION}
