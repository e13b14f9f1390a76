# runner serve, with the native engine on the CPU.
#
#   docker build -t trainwright .
#   docker run -p 127.0.0.1:8000:8000 -v trainwright:/var/lib/runner -v "$PWD/data:/data:ro" trainwright
#
# docs/deploy.md says what to set where it is served to others.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN go build -trimpath -ldflags "-s -w -X github.com/trainwright/trainwright/internal/cli.Version=${VERSION}" -o /out/runner ./cmd/runner

# The ONNX Runtime library, of the version and hash that the runner pins.
FROM python:3.12-slim-bookworm AS library
COPY --from=build /out/runner /usr/local/bin/runner
COPY examples/glyphs/main.hcl /pipeline/main.hcl
RUN XDG_CACHE_HOME=/out runner init /pipeline

FROM debian:12-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --home-dir /var/lib/runner --create-home runner \
 && mkdir /data
COPY --from=build /out/runner /usr/local/bin/runner
COPY --from=library --chown=10001:10001 /out /var/cache/runner
# With PORT it serves on 0.0.0.0 behind a proxy that ends TLS, so reading needs a token.
ENV XDG_CACHE_HOME=/var/cache/runner PORT=8000
USER 10001:10001
WORKDIR /var/lib/runner
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["sh", "-c", "curl -fsS -o /dev/null http://127.0.0.1:${PORT}/healthz"]
ENTRYPOINT ["runner"]
CMD ["serve", "/var/lib/runner", "--data-root=/data"]
