package sms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const hang = "hang" // In place of an answer: the server waits until the client closes the connection.

// A catcher is a mail server with prepared answers.
type catcher struct {
	addr            string
	commands, mails chan string
}

// serveSMTP answers each command as the map says, and others with success. "mail" is the answer to the end of a mail.
func serveSMTP(t *testing.T, answers map[string]string) *catcher {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &catcher{l.Addr().String(), make(chan string, 100), make(chan string, 100)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); c.serve(conn, answers) })
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return c
}

func (c *catcher) serve(conn net.Conn, answers map[string]string) {
	yes := map[string]string{"greeting": "220 ready", "DATA": "354 go on", "QUIT": "221 bye"}
	text := textproto.NewConn(conn)
	say := func(to string) (goOn bool) {
		answer := cmp.Or(answers[to], yes[to], "250 yes")
		if answer == hang {
			_, _ = io.Copy(io.Discard, conn)
			return false
		}
		return text.PrintfLine("%s", answer) == nil && strings.HasPrefix(answer, cmp.Or(yes[to], "250")[:3])
	}
	say("greeting")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		c.commands <- line
		verb, _, _ := strings.Cut(line, " ")
		if !say(verb) || verb != "DATA" {
			continue
		}
		body, err := text.ReadDotBytes()
		if err != nil {
			return
		}
		c.mails <- string(body)
		say("mail")
	}
}

func openSMTP(t *testing.T, o SMTPOptions) *SMTP {
	t.Helper()
	return NewSMTP(o)
}

func TestSMTPMails(t *testing.T) {
	m := message
	m.Text = "042137\n.\n..کد ورود شما = 042137 " + strings.Repeat("و", 100)
	for from, want := range map[string]string{"": "otp@sms.invalid", "login@example.com": "login@example.com"} {
		c := serveSMTP(t, map[string]string{"QUIT": hang})
		if id, err := openSMTP(t, SMTPOptions{Addr: c.addr, From: from}).Send(t.Context(), m); id != "" || err != nil {
			t.Fatalf("Send = %q, %v; want it accepted without an identifier", id, err)
		}
		for _, want := range []string{
			"EHLO localhost",
			"MAIL FROM:<" + want + ">",
			"RCPT TO:<989121234567@sms.invalid>",
			"DATA",
		} {
			if got := <-c.commands; got != want {
				t.Errorf("asked %q; want %q", got, want)
			}
		}
		got, err := mail.ReadMessage(strings.NewReader(<-c.mails))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"From":                      "<" + want + ">",
			"To":                        "<989121234567@sms.invalid>",
			"Subject":                   "042137 for +989121234567",
			"Message-ID":                "<" + m.ID + "@sms.invalid>",
			"MIME-Version":              "1.0",
			"Content-Type":              "text/plain; charset=utf-8",
			"Content-Transfer-Encoding": "quoted-printable",
		} {
			if got := got.Header.Get(name); got != want {
				t.Errorf("%s: %q; want %q", name, got, want)
			}
		}
		if at, err := got.Header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("Date: %v, %v; want now", at, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		if err != nil || strings.TrimSuffix(string(text), "\n") != m.Text {
			t.Errorf("mailed %q, %v; want %q", text, err, m.Text)
		}
	}
}

// hangsUp returns the address of a server that closes each connection at once.
func hangsUp(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

func TestSMTPFaults(t *testing.T) {
	const (
		refusal = "451 4.3.0 try later: <989121234567@sms.invalid>"
		number  = "550-5.1.1 no such\r\n550 user +989121234567"
	)
	for name, tc := range map[string]struct {
		answers map[string]string
		want    string // A part of the error's text.
	}{
		"a refused connection": {map[string]string{"greeting": "554 no service"}, "answered, code 554: no service"},
		"a refused sender": {
			map[string]string{"MAIL": refusal}, "answered, code 451: 4.3.0 try later: <•••@sms.invalid>",
		},
		"a refused number": {map[string]string{"RCPT": number}, "answered, code 550: 5.1.1 no such user •••"},
		"a refused mail":   {map[string]string{"DATA": refusal}, "answered, code 451"},
		"a refused text":   {map[string]string{"mail": number}, "answered, code 550"},
		"no greeting":      {map[string]string{"greeting": hang}, "context deadline exceeded"},
		"no answer":        {map[string]string{"RCPT": hang}, "context deadline exceeded"},
		"no last answer":   {map[string]string{"mail": hang}, "context deadline exceeded"},
		"garbage":          {map[string]string{"greeting": "hello 989121234567"}, "no valid SMTP answer"},
		"later garbage":    {map[string]string{"mail": "hello 989121234567"}, "no valid SMTP answer"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := time.Minute
			if tc.want == context.DeadlineExceeded.Error() {
				timeout = 200 * time.Millisecond
			}
			err := send(t, openSMTP(t, SMTPOptions{Addr: serveSMTP(t, tc.answers).addr}), message, timeout)
			if err == nil || errors.Is(err, otp.ErrUndeliverable) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Send = %v; want %q, and the number not blamed", err, tc.want)
			}
			for _, private := range []string{"9121234567", message.Code} {
				if strings.Contains(fmt.Sprint(err), private) {
					t.Errorf("Send = %v; want no %q", err, private)
				}
			}
		})
	}
	for name, addr := range map[string]string{
		"closed":   closed(t),
		"hangs up": hangsUp(t),
	} {
		if err := send(t, openSMTP(t, SMTPOptions{Addr: addr}), message, 200*time.Millisecond); err == nil {
			t.Errorf("Send to %s = nil", name)
		}
	}
}

func TestSMTPEndsWithItsContext(t *testing.T) {
	c := serveSMTP(t, map[string]string{"RCPT": hang})
	s := openSMTP(t, SMTPOptions{Addr: c.addr})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for range 3 { // EHLO, MAIL, RCPT
			<-c.commands
		}
		cancel()
	}()
	if _, err := s.Send(ctx, message); !errors.Is(err, context.Canceled) {
		t.Errorf("Send with a context cancelled on the way = %v; want Canceled", err)
	}
	if got := s.Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("Channels = %v; want sms", got)
	}
	for _, addr := range []string{"", "localhost", "smtp://localhost:1025"} {
		if err := smtpProvider.Variables[0].Check(addr); err == nil {
			t.Errorf("SMTP_ADDR=%s is accepted; want host:port", addr)
		}
	}
}
