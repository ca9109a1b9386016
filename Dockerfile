# The operator's image: docker build --build-arg REVISION="$(git rev-parse HEAD)" --tag tidegate .
# tests/stack/test_image.py does all of it without a container runtime: each RUN, on what each COPY brings.

# The digest is that of the tag's list of platforms, as public builds have resolved it. Renew both together.
FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS python


FROM python AS build
ARG VENV=/opt/tidegate
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
# Every dependency is a wheel, for amd64 and arm64: no compiler is needed. The venv has no pip.
RUN uv venv --python "$(command -v python)" "$VENV" \
 && uv pip sync --python "$VENV" --link-mode copy --require-hashes --no-build requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN hatchling build --target wheel --directory dist \
 && uv pip install --python "$VENV" --link-mode copy --no-deps --no-index --no-build dist/*.whl \
 && uv pip check --python "$VENV"


FROM python
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tidegate" \
      org.opencontainers.image.description="A backlog-aware consumer autoscaler for Kubernetes" \
      org.opencontainers.image.source="https://github.com/tidegate/tidegate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13.15-slim-trixie" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# Nothing is installed here any more.
RUN python -m pip uninstall --yes --root-user-action ignore pip
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH
# One import, as root, compiles what a start needs: half the CPU time of every later one.
RUN tidegate --version && python -c 'import tidegate.controllers.operator'
ENV HOME=/ \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, which Kubernetes can tell from root. It has no home (libraries only want to know of one) and writes nowhere.
USER 65532:65532
WORKDIR /
ENTRYPOINT ["tidegate"]
