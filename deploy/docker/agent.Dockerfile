# The agent of a site. Build it from the root of the checkout:
#   docker build -f deploy/docker/agent.Dockerfile -t orvanta-agent:0.1.0 .
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
# Such as `sql`, for jobs in SQL: --build-arg EXTRAS=sql
ARG EXTRAS=
RUN python3 requirements.py ${EXTRAS} >extras.txt \
 && /opt/orvanta/bin/python -m pip install -r extras.txt
COPY README.md ./
# Without the bridge's folder the wheel holds the agent alone.
COPY agent agent
RUN /opt/orvanta/bin/python -m pip install --no-deps . \
 && /opt/orvanta/bin/python -m pip uninstall --yes pip

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
LABEL org.opencontainers.image.title="Orvanta Edge agent" \
      org.opencontainers.image.description="Agent worker of Orvanta Edge: works on while its link is down." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/orvanta/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MODE=agent
USER 10001:10001
# The spool: jobs and results that nobody else has. It outlives the container, or they are lost with it.
WORKDIR /var/lib/orvanta
VOLUME /var/lib/orvanta
STOPSIGNAL SIGTERM
# Healthy is an agent that holds its spool, link or no link: one that is cut off is at work.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD python -m agent status --json --spool /var/lib/orvanta | grep -q '"agent": "running"'
ENTRYPOINT ["tini", "--", "python", "-m", "agent", "--spool", "/var/lib/orvanta"]
