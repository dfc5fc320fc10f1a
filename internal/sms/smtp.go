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
	"dekamond-otp/internal/setting"
)

var errNoMail = errors.New("no valid SMTP answer")

var smtpProvider = Description{
	Provider: setting.Provider{
		Name: "smtp",
		Variables: []setting.Variable{{
			Name:    "SMTP_ADDR",
			Default: "127.0.0.1:1025",
			Example: "mailpit:1025",
			Check:   setting.Checked(setting.HostPort),
		}},
		Development: true,
	},
	Channels: []string{otp.SMS},
	New: func(in Inputs) (Provider, error) {
		return NewSMTP(SMTPOptions{Addr: in.Text("SMTP_ADDR")}), nil
	},
}

// SMTPOptions are the inputs of NewSMTP.
type SMTPOptions struct {
	Addr string // host:port of the mail catcher, such as localhost:1025.
	From string // The sender's address. Defaults to otp@sms.invalid.
}

// SMTP sends each message as a mail to <digits>@sms.invalid. It is for a mail catcher in development, and has neither
// TLS nor passwords.
type SMTP struct{ addr, host, from string }

var _ Prober = (*SMTP)(nil)

// NewSMTP returns a provider that connects anew for each mail.
func NewSMTP(o SMTPOptions) *SMTP {
	host, _, _ := net.SplitHostPort(o.Addr)
	return &SMTP{o.Addr, host, cmp.Or(o.From, "otp@sms.invalid")}
}

// Channels implements Provider.
func (*SMTP) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. Its failures are of ScopeProvider.
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
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
		s.from, to, m.Code, m.To.E164(), time.Now().Format(time.RFC1123Z), m.ID)
	text := quotedprintable.NewWriter(mail)
	_, _ = text.Write([]byte(m.Text)) // After a failed write, Close fails.
	if err := errors.Join(text.Close(), mail.Close()); err != nil {
		return err
	}
	_, _ = c.Text.Cmd("QUIT") // Its answer is not waited for.
	return nil
}

// Probe greets the server and does nothing.
func (s *SMTP) Probe(ctx context.Context) (Account, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return Account{}, cause(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := smtp.NewClient(conn, s.host)
	if err == nil {
		err = c.Noop()
	}
	if err != nil {
		return Account{}, cause(ctx, err)
	}
	_, _ = c.Text.Cmd("QUIT") // Its answer is not waited for.
	return Account{Unproved: true}, nil
}
