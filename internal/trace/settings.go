package trace

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// defaultTimeout is the timeout of a batch without OTEL_EXPORTER_OTLP_TIMEOUT.
const defaultTimeout = 10 * time.Second

// A destination is the collector that spans are sent to.
type destination struct {
	url     *url.URL
	header  http.Header
	timeout time.Duration // of one batch, retries included
	gzip    bool
	tls     *tls.Config
}

// readDestination reads the exporter's variables (OpenTelemetry specification, OTLP Exporter Configuration). It
// returns nil if they ask for no export. Its errors quote no value, because a value may hold a key.
func readDestination() (*destination, error) {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	own, all := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	disabled := strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter == "none"
	if disabled || own+all+exporter == "" {
		return nil, nil
	}
	if exporter != "" && exporter != "otlp" {
		return nil, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	}
	if p := option("PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf")
	}
	d := new(destination)
	var err error
	if d.url, err = readURL(own, all); err != nil {
		return nil, err
	}
	if d.timeout, err = readTimeout(option("TIMEOUT")); err != nil {
		return nil, err
	}
	if d.header, err = readHeader(option("HEADERS")); err != nil {
		return nil, err
	}
	if d.tls, err = readTLS(option("CERTIFICATE"), option("CLIENT_CERTIFICATE"), option("CLIENT_KEY")); err != nil {
		return nil, err
	}
	d.header.Set("Content-Type", "application/x-protobuf")
	d.header.Set("User-Agent", scope)
	switch option("COMPRESSION") {
	case "", "none":
	case "gzip":
		d.gzip = true
		d.header.Set("Content-Encoding", "gzip")
	default:
		return nil, errors.New("OTEL_EXPORTER_OTLP_COMPRESSION must be gzip or none")
	}
	return d, nil
}

// option returns the variable for traces, or else the variable for all signals.
func option(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// readURL reads the endpoint for traces, which is used as it is, or else the endpoint for all signals, to which the
// path of traces is added.
func readURL(own, all string) (*url.URL, error) {
	u, err := url.Parse(cmp.Or(own, all, "http://localhost:4318"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be http:// or https:// and a host")
	}
	if own == "" {
		u = u.JoinPath("v1/traces")
	}
	return u, nil
}

func readTimeout(text string) (time.Duration, error) {
	if text == "" {
		return defaultTimeout, nil
	}
	ms, err := strconv.Atoi(text)
	if err != nil || ms <= 0 {
		return 0, errors.New("OTEL_EXPORTER_OTLP_TIMEOUT must be a number of milliseconds")
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func readHeader(text string) (http.Header, error) {
	header := make(http.Header)
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, escaped, _ := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(escaped))
		if name = strings.TrimSpace(name); err != nil || name == "" {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value,…, with values escaped as in URLs")
		}
		header.Set(name, value)
	}
	return header, nil
}

// readTLS reads PEM files: the authorities to trust, and the certificate and key of this service. Any may be empty.
func readTLS(authorities, certificate, key string) (*tls.Config, error) {
	c := new(tls.Config)
	if authorities != "" {
		text, err := os.ReadFile(authorities)
		c.RootCAs = x509.NewCertPool()
		if err != nil || !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("OTEL_EXPORTER_OTLP_CERTIFICATE must be a PEM file of certificates")
		}
	}
	if certificate+key != "" {
		own, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, errors.New("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY" +
				" must be PEM files that belong together")
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}
