# syntax=docker/dockerfile:1
#
# docker build -t tidemark .                  the program in every role but the simulator
# docker build -t tidemark:demo --target demo .    with the simulator and the demo, for trying it out

ARG RUST_VERSION=1.95
# Builder and runtime are the same Debian, so that the program finds the C library it was linked to.
ARG DEBIAN=trixie

FROM rust:${RUST_VERSION}-${DEBIAN} AS source
WORKDIR /build
COPY . .

# The caches outlive a build; what is to stay in the image's layer is copied out of them.
FROM source AS build
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package tidemark --no-default-features \
    && install -D target/release/tidemark /out/tidemark

FROM source AS build-demo
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package tidemark \
    && install -D target/release/tidemark /out/tidemark

FROM debian:${DEBIAN}-slim AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# A number, so that Kubernetes can see that it is not root. The folders belong to it before volumes
# are mounted there: a new named volume takes its owner from the image.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent tidemark \
    && install --directory --owner=tidemark --group=tidemark --mode=0750 \
        /var/lib/tidemark /var/lib/tidemark-spill
USER 10001:10001
WORKDIR /var/lib/tidemark
ENV TIDEMARK_STORE=file:///var/lib/tidemark
# A worker sets this itself, and need not begin twice where it is set.
ENV MIMALLOC_PURGE_DELAY=0
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidemark"]
CMD ["--help"]

FROM runtime AS demo
COPY --from=build-demo /out/tidemark /usr/local/bin/tidemark

# The last stage is what `docker build` makes when it is not told otherwise.
FROM runtime AS production
COPY --from=build /out/tidemark /usr/local/bin/tidemark
