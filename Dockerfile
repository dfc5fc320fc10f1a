# DOCKERHUB and GCR are the registries of the base images, or your mirrors of them.
ARG DOCKERHUB=docker.io
ARG GCR=gcr.io

FROM --platform=$BUILDPLATFORM ${DOCKERHUB}/library/golang:1.26 AS build
WORKDIR /src
# GOPROXY replaces the public module proxy; go.sum holds what it returns.
ARG GOPROXY
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w ${VERSION:+-X main.version=$VERSION}" -o /out/dekamond-otp . \
    && mkdir /out/data

# The base image has CA certificates, no shell, and the user 65532.
FROM ${GCR}/distroless/static-debian12:nonroot
COPY --from=build /out/dekamond-otp /usr/local/bin/dekamond-otp
WORKDIR /app
COPY --from=build --chown=65532:65532 /out/data /app/data
ENV HTTP_ADDR=:1628
EXPOSE 1628
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s CMD ["/usr/local/bin/dekamond-otp", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/dekamond-otp"]
# VERSION is what the binary calls itself, and REVISION the commit.
ARG VERSION=1.3.0
ARG REVISION
LABEL org.opencontainers.image.title="Dekamond OTP" \
      org.opencontainers.image.description="A phone-number login service" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
