# Builds goldwire and nothing else into an image without shell or package manager.

FROM rust:1.95-slim-trixie AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# librdkafka, OpenSSL, SQLite and jemalloc are built from source: a C compiler, make, perl.
# The versions are those of the pinned release; a pinned package version disappears with the next fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Without the demo, whose fakes and servers are not for a machine that serves.
RUN cargo build --profile dist --no-default-features --locked --bin goldwire \
    && mkdir -p /out/data \
    && cp target/dist/goldwire /out/goldwire

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /out/goldwire /usr/local/bin/goldwire
# Owned by the image's user, so that a new volume is writable.
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/goldwire
USER nonroot:nonroot
WORKDIR /var/lib/goldwire
VOLUME ["/var/lib/goldwire"]
EXPOSE 8443 9464
# There is no curl here and no shell: the program asks its own admin listener's /livez. Alive is
# not healthy: a halted sink or an open breaker does not restart the container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/goldwire", "check", "--live", "--config", "/etc/goldwire/goldwire.yaml"]
# Exec form, so that SIGTERM reaches the program and it drains; give it delivery.drain_timeout
# and some seconds before SIGKILL.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/goldwire"]
CMD ["run", "--config", "/etc/goldwire/goldwire.yaml", "--log-format", "json"]
