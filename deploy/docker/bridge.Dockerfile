# The bridge: cluster, jobs API, pages and relay. Build it from the root of the checkout:
#   docker build -f deploy/docker/bridge.Dockerfile -t orvanta-bridge:0.1.0 .
# An unprivileged user, a root that may be read-only: all that it keeps is in /var/lib/orvanta. docs/containers.md
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS built
WORKDIR /src
COPY pyproject.toml constraints.txt deploy/docker/requirements.py ./
# What it needs, before its own code: a change of the code does not fetch all of it again. Only ready-made wheels:
# a package that would have to be compiled here ends the build.
ENV PIP_ONLY_BINARY=:all: PIP_CONSTRAINT=/src/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/orvanta \
 && python3 requirements.py >agent.txt \
 && /opt/orvanta/bin/python -m pip install -r agent.txt
RUN python3 requirements.py bridge >bridge.txt \
 && /opt/orvanta/bin/python -m pip install -r bridge.txt
COPY README.md ./
COPY agent agent
COPY bridge bridge
# pip stays: it fetches the wheels of what jobs import.
RUN /opt/orvanta/bin/python -m pip install --no-deps .

FROM ${PYTHON}
# tini is process 1: it hands SIGTERM on, and reaps what jobs leave behind.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && useradd --uid 10001 --user-group --home-dir /var/lib/orvanta --create-home --skel /nonexistent \
    --shell /usr/sbin/nologin orvanta
COPY --from=built /opt/orvanta /opt/orvanta
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Orvanta Edge bridge" \
      org.opencontainers.image.description="Cluster side of Orvanta Edge: jobs API, pages, ledger and relay." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY deploy/docker/bridge_answers.py /opt/orvanta/
ENV PATH=/opt/orvanta/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BRIDGE_HOST=0.0.0.0
USER 10001:10001
# Here are bridge.db, or bridge.key beside a DATABASE_URL, and what is kept of packages. Back it up: docs/store.md.
WORKDIR /var/lib/orvanta
VOLUME /var/lib/orvanta
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "/opt/orvanta/bridge_answers.py"]
ENTRYPOINT ["tini", "--", "python", "-m", "bridge"]
CMD ["serve"]
