package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// A mailbox is a webhook that keeps the code of each phone.
type mailbox struct {
	*httptest.Server
	delay time.Duration

	mu    sync.Mutex // guards codes and their channels
	codes map[string]chan string
}

// newMailbox starts a mailbox that answers after a delay.
func newMailbox(t *testing.T, delay time.Duration) *mailbox {
	t.Helper()
	b := &mailbox{delay: delay, codes: make(map[string]chan string)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ To, Code string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			return // the copy that sent it was killed
		}
		select {
		case b.of(m.To) <- m.Code:
		default: // a message that is sent again has the same code
		}
		time.Sleep(b.delay)
	}))
	t.Cleanup(b.Close)
	return b
}

// of returns the channel that keeps the code of a phone.
func (b *mailbox) of(phone string) chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.codes[phone] == nil {
		b.codes[phone] = make(chan string, 1)
	}
	return b.codes[phone]
}

// await waits until a message to a phone has arrived, and returns its code.
func (b *mailbox) await(phone string, wait time.Duration) (code string, ok bool) {
	select {
	case code := <-b.of(phone):
		b.of(phone) <- code
		return code, true
	case <-time.After(wait):
		return "", false
	}
}

// An answer is what became of a call.
type answer struct {
	span
	path   string
	fresh  bool // The call was the first one on its connection.
	status int  // 0: the connection broke before there was an answer
	id     string
	body   []byte
	err    error
}

func (a answer) text(names ...string) string {
	return servicetest.Answer{Body: string(a.body)}.Text(names...)
}

// waited reports whether the connection was reset while it waited to be accepted. This happens when a listener closes.
func (a answer) waited() bool {
	return a.status == 0 && a.fresh && errors.Is(a.err, syscall.ECONNRESET)
}

func (a answer) loggedIn() bool { return a.status == http.StatusOK || a.status == http.StatusCreated }

// A front calls the copies of the service in turn. It goes to the next one if a copy takes no connection, as a balancer
// does, and repeats no call that it has sent.
type front struct {
	client *http.Client
	next   atomic.Uint64

	mu      sync.Mutex // guards the fields below
	urls    []string
	answers []answer
}

func newFront(copies []*servicetest.Service) *front {
	f := &front{client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		Timeout:   servicetest.Patience,
	}}
	for _, s := range copies {
		f.urls = append(f.urls, s.URL)
	}
	return f
}

// call makes a POST request to the copy whose turn it is.
func (f *front) call(path string, body string) answer {
	f.mu.Lock()
	urls := f.urls
	f.mu.Unlock()
	a := answer{path: path, span: span{from: time.Now()}}
	turn := f.next.Add(1)
	for i := range uint64(len(urls)) {
		a.err = a.send(f.client, urls[(turn+i)%uint64(len(urls))], body)
		if dial := new(net.OpError); !errors.As(a.err, &dial) || dial.Op != "dial" {
			break
		}
	}
	a.to = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = append(f.answers, a)
	return a
}

func (a *answer) send(client *http.Client, base, body string) error {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { a.fresh = !i.Reused },
	})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+a.path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, response.Body); err != nil {
		return err
	}
	a.status, a.id, a.body = response.StatusCode, response.Header.Get("X-Request-ID"), b.Bytes()
	return nil
}

// A login is a right answer that was accepted.
type login struct{ phone, code, user, refresh string }

// A load is people who log in, several at a time, until it is stopped.
type load struct {
	t    *testing.T
	mail *mailbox
	*front

	stopped chan struct{}
	people  sync.WaitGroup
	next    atomic.Int64

	mu       sync.Mutex // guards the fields below
	accepted []string   // phones whose request was answered with 202
	logins   []login
	doubles  int // codes that logged in twice at once
	replays  int // codes that logged in again later
	refused  int // right codes that never logged in although no call failed: Redis has lost them
}

const (
	pause      = 60 * time.Millisecond
	mailWithin = 2 * time.Second // then a person asks no further; whether the message arrives is checked at the end
)

// begin starts a load on copies of the service, of so many people at a time.
func begin(t *testing.T, mail *mailbox, workers int, copies []*servicetest.Service) *load {
	t.Helper()
	l := &load{t: t, mail: mail, front: newFront(copies), stopped: make(chan struct{})}
	for range workers {
		l.people.Go(func() {
			for {
				select {
				case <-l.stopped:
					return
				case <-time.After(pause):
					l.person(fmt.Sprintf("+98912%07d", l.next.Add(1)))
				}
			}
		})
	}
	return l
}

// stop ends the load when the people of now are done. It may be called twice.
func (l *load) stop() {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.people.Wait()
}

// person requests a code and logs in with it. The answer is given twice at once, and once more later.
func (l *load) person(phone string) {
	if l.call("/otp/request", servicetest.JSON("phone", phone)).status != http.StatusAccepted {
		return
	}
	l.mu.Lock()
	l.accepted = append(l.accepted, phone)
	l.mu.Unlock()
	code, ok := l.mail.await(phone, mailWithin)
	if !ok {
		return
	}
	both := make([]answer, 2)
	var twice sync.WaitGroup
	for i := range both {
		twice.Go(func() { both[i] = l.verify(phone, code) })
	}
	twice.Wait()
	later := l.verify(phone, code)
	l.judge(phone, code, append(both, later))
}

func (l *load) verify(phone, code string) answer {
	return l.call("/otp/verify", servicetest.JSON("phone", phone, "code", code))
}

// judge counts what became of the answers with a code, of which the last one came after the others.
func (l *load) judge(phone, code string, answers []answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	accepted, failed := 0, 0
	for i, a := range answers {
		switch {
		case a.loggedIn() && accepted > 0 && i == len(answers)-1:
			l.replays++
		case a.loggedIn() && accepted > 0:
			l.doubles++
		case a.loggedIn():
			l.logins = append(l.logins, login{phone, code, a.text("user", "id"), a.text("refresh_token")})
			accepted++
		case a.status == 0 || a.status >= http.StatusInternalServerError:
			failed++
		}
	}
	if accepted+failed == 0 {
		l.refused++
	}
}
