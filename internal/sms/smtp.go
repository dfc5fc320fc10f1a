package sms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

var errNoMail = errors.New("no valid SMTP answer")

// SMTPOptions are the inputs of NewSMTP.
type SMTPOptions struct {
	Addr string // host:port of the mail catcher, such as localhost:1025
	From string // sender's address; default otp@sms.invalid
}

// SMTP delivers each message as a mail to <digits>@sms.invalid. It is for a mail catcher in development: it knows
// neither TLS nor passwords.
type SMTP struct{ addr, host, from string }

var _ Provider = (*SMTP)(nil)

// NewSMTP makes no connection. Its error is an address that is not host:port.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, errors.New("sms: SMTP: address: not host:port")
	}
	return &SMTP{o.Addr, host, cmp.Or(o.From, "otp@sms.invalid")}, nil
}

// Channels implements Provider.
func (*SMTP) Channels() []string { return []string{otp.SMS} }

// Send makes a connection for each mail. It never rejects the number.
func (s *SMTP) Send(ctx context.Context, m otp.Message) (id string, err error) {
	err = s.deliver(ctx, m)
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return "", &Failure{Code: strconv.Itoa(reply.Code), Text: scrub(reply.Msg)}
	}
	if err == nil {
		return "", nil
	}
	if err = cause(ctx, err); errors.Is(err, errNoAnswer) {
		err = errNoMail
	}
	return "", err
}

func (s *SMTP) deliver(ctx context.Context, m otp.Message) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	to := strings.TrimPrefix(m.To.E164(), "+") + "@sms.invalid"
	if err := c.Mail(s.from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	mail, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(mail, "From: <%s>\r\nTo: <%s>\r\nSubject: %s for %s\r\nDate: %s\r\nMessage-ID: <%s@sms.invalid>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
		s.from, to, m.Code, m.To.E164(), time.Now().Format(time.RFC1123Z), m.ID)
	text := quotedprintable.NewWriter(mail)
	_, _ = text.Write([]byte(m.Text)) // a write that failed makes Close fail
	if err := errors.Join(text.Close(), mail.Close()); err != nil {
		return err
	}
	_, _ = c.Text.Cmd("QUIT") // whose answer nobody waits for
	return nil
}
