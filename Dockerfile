# A static binary in an empty image: no shell, no package manager, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/vitrine ./cmd/vitrine
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/auditcheck ./cmd/auditcheck
RUN mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/vitrine /vitrine
COPY --from=build /out/auditcheck /auditcheck
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE /LICENSE
USER 65532:65532
# Plain HTTP is for the proxy in front that ends TLS; with VITRINE_TLS_CERT and
# VITRINE_TLS_KEY the server ends it itself.
ENV VITRINE_DATA=/data VITRINE_LISTEN=0.0.0.0:8080 VITRINE_INSECURE_HTTP=true
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/vitrine", "healthcheck"]
ENTRYPOINT ["/vitrine"]
CMD ["serve"]
