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
)

// A Said is an error in words of this service: what a server answered, and what that means.
type Said string

func (s Said) Error() string { return string(s) }

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// states are of PostgreSQL's (manual, appendix A), those that a connection ends with.
var states = map[string]string{
	"28000": "refuses the user",
	"28P01": "refuses user or password",
	"3D000": "has no such database",
	"42501": "lets the user not do that",
	"53300": "has no connection left",
	"57P03": "is starting or stopping",
}

// plain says why something could not be asked, as what a sentence about it goes on with. Of the cause it keeps what
// is known here, and no word that a server sent.
func plain(err error) string {
	var said Said
	var state interface{ SQLState() string }
	var name *net.DNSError
	var timeout net.Error
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &said):
		return string(said)
	case errors.As(err, &state):
		if words := states[state.SQLState()]; words != "" {
			return words
		}
		if sqlState.MatchString(state.SQLState()) {
			return "answers with SQLSTATE " + state.SQLState()
		}
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "has a certificate that nobody known here has signed"
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
	case errors.As(err, &name):
		return "has a name that cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection: nothing listens there"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "cannot be reached from this network"
	case errors.Is(err, syscall.EROFS):
		return "is where nothing can be written"
	case errors.Is(err, os.ErrPermission):
		return "is not for this user to open"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "hangs up"
	}
	return "does not answer as it should"
}

const soon = 14 * 24 * time.Hour // before a certificate ends

// certificate warns of one that ends soon.
func (f *findings) certificate(about string, end, now time.Time) {
	switch left := end.Sub(now); {
	case end.IsZero():
	case left < 0:
		f.add(Weak, about, "has a certificate that ended on %s, and is not checked", end.UTC().Format(time.DateOnly))
	case left < soon:
		f.add(Weak, about, "has a certificate that ends on %s: renew it", end.UTC().Format(time.DateOnly))
	}
}
