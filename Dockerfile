# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/dekamond-otp . \
    && mkdir /out/data

# The base image has CA certificates, no shell, and the user 65532.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/dekamond-otp /usr/local/bin/dekamond-otp
WORKDIR /app
COPY --from=build --chown=65532:65532 /out/data /app/data
ENV HTTP_ADDR=:1628
EXPOSE 1628
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s CMD ["/usr/local/bin/dekamond-otp", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/dekamond-otp"]
