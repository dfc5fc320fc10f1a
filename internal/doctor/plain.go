package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"syscall"
	"time"

	"dekamond-otp/internal/probe"
)

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// sqlStates are the SQLSTATEs of PostgreSQL (manual, appendix A) with which a connection or a write can end, apart from
// those that are a probe.Refusal.
var sqlStates = map[string]string{
	"25006": "is read-only",
	"42501": "does not let the user do that",
	"53100": "has a full disk",
	"53300": "has no connection left",
	"55000": "accepts no connections to this database",
	"57P03": "is starting or stopping",
}

// plain returns why something could not be asked, as the rest of a sentence about it. It contains no word that a server
// sent.
func plain(err error) string {
	for _, known := range []func(error) string{plainAnswer, plainTLS, plainConnection} {
		if words := known(err); words != "" {
			return words
		}
	}
	return "does not answer as it should"
}

// plainAnswer knows what a server answered.
func plainAnswer(err error) string {
	if own, ok := errors.AsType[probe.Error](err); ok {
		return own.Error()
	}
	if own, ok := errors.AsType[probe.Refusal](err); ok {
		return own.Error()
	}
	var state interface{ SQLState() string }
	if !errors.As(err, &state) {
		return ""
	}
	if words := sqlStates[state.SQLState()]; words != "" {
		return words
	}
	if sqlState.MatchString(state.SQLState()) {
		return "answers with SQLSTATE " + state.SQLState()
	}
	return ""
}

// plainTLS knows what is wrong with a TLS connection.
func plainTLS(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "has a certificate of an authority that is not known here"
	case errors.As(err, new(x509.HostnameError)):
		return "has a certificate for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has a certificate that is not valid now"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "has a certificate that is not valid"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "does not speak TLS there"
	case errors.As(err, new(tls.AlertError)):
		return "ends the TLS handshake"
	}
	return ""
}

// plainConnection knows what can happen to a connection or a file.
func plainConnection(err error) string {
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &name):
		return "has a name that cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection: nothing listens there"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "cannot be reached from this network"
	case errors.Is(err, syscall.EROFS):
		return "is on a file system that accepts no writes"
	case errors.Is(err, os.ErrPermission):
		return "cannot be opened by this user"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "hangs up"
	}
	return ""
}

const expiresSoon = 14 * 24 * time.Hour // Left of a certificate.

// addCertificate warns of a certificate that expires soon.
func (f *findings) addCertificate(about string, end, now time.Time) {
	switch left := end.Sub(now); {
	case end.IsZero():
	case left < 0:
		f.add(Weak, about, "has a certificate that expired on %s, and is not checked", end.UTC().Format(time.DateOnly))
	case left < expiresSoon:
		f.add(Weak, about, "has a certificate that expires on %s: renew it", end.UTC().Format(time.DateOnly))
	}
}
