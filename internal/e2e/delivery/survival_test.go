package delivery

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// takeover is how long it may take until another copy has delivered the message of a copy that ended. A quiet machine
// needs less than 10 s, most of which is the time after which a message counts as abandoned.
const takeover = 100 * time.Second

// calls is how often a copy calls its provider with a message at most.
const calls = 3

// A mailbox is a webhook for thousands of messages. It keeps the identifiers of the messages to each phone.
type mailbox struct {
	*httptest.Server
	mu  sync.Mutex // guards ids
	ids map[string][]string
}

// newMailbox starts a mailbox that answers after a delay, so that there are messages in hand at any time.
func newMailbox(t *testing.T, delay time.Duration) *mailbox {
	t.Helper()
	b := &mailbox{ids: make(map[string][]string)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ To, ID string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		b.ids[m.To] = append(b.ids[m.To], m.ID)
		b.mu.Unlock()
		time.Sleep(delay)
	}))
	t.Cleanup(b.Close)
	return b
}

// settings returns the settings of a service whose messages go to the mailbox. A code lives so long that no message
// becomes pointless on a slow machine.
func (b *mailbox) settings() []string {
	return []string{
		"SMS_PROVIDERS=webhook",
		"SMS_WEBHOOK_URL=" + b.URL,
		"OTP_LIMIT_IP=off",
		"OTP_TTL=10m",
		"OTP_SECRET=" + servicetest.OTPSecret,
	}
}

// missing returns the phones that no message has reached.
func (b *mailbox) missing(phones []string) (missing []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, phone := range phones {
		if len(b.ids[phone]) == 0 {
			missing = append(missing, phone)
		}
	}
	return missing
}

// check reports an error for each phone that has not exactly one message, which may have arrived atMost times. It
// returns how many messages arrived again.
func (b *mailbox) check(t *testing.T, phones []string, atMost int) (again int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, phone := range phones {
		ids := b.ids[phone]
		if distinct := slices.Compact(slices.Sorted(slices.Values(ids))); len(distinct) != 1 || len(ids) > atMost {
			t.Errorf("%s has the messages %v; want one, at most %d times", phone, ids, atMost)
		}
		again += len(ids) - 1
	}
	return again
}

// ask asks for a code and reports whether the service accepted the request. A broken connection is no fault.
func ask(base, phone string) (accepted bool) {
	body := strings.NewReader(servicetest.JSON("phone", phone))
	response, err := servicetest.Client.Post(base+"/otp/request", "application/json", body)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusAccepted
}

// askOn asks for codes of ever new phones, four at a time, until stop is closed. It sends each phone whose request was
// accepted, and closes the channel at the end.
func askOn(base string, stop <-chan struct{}) <-chan string {
	accepted := make(chan string, 1<<16) // so that the requests go on while the test kills the service
	var next atomic.Int64
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				phone := fmt.Sprintf("+98912%07d", 1_000_000+next.Add(1))
				if ask(base, phone) {
					accepted <- phone
				} else {
					time.Sleep(10 * time.Millisecond) // the service is being started
				}
			}
		})
	}
	go func() { asking.Wait(); close(accepted) }()
	return accepted
}

// receive returns the phone of the next request that is accepted.
func receive(t *testing.T, accepting <-chan string) string {
	t.Helper()
	select {
	case phone := <-accepting:
		return phone
	case <-time.After(servicetest.Patience):
		t.Fatalf("no request was accepted for %v", servicetest.Patience)
		return ""
	}
}

// TestKilledWhileSending checks that every accepted request is delivered, although the service is killed with SIGKILL
// again and again.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	const requests, killEvery = 2000, 250
	b := newMailbox(t, 100*time.Millisecond)
	stores := servicetest.RealStores(t)
	address := servertest.FreeAddress(t)
	env := slices.Concat(stores, b.settings(), []string{"HTTP_ADDR=" + address})
	dir := t.TempDir()
	restart := func() *servicetest.Service {
		s := servicetest.Launch(t, dir, env...)
		s.Await()
		return s
	}

	s := restart()
	stop := make(chan struct{})
	accepting := askOn("http://"+address, stop)
	var accepted []string
	kills := 0
	for len(accepted) < requests {
		accepted = append(accepted, receive(t, accepting))
		if len(accepted)%killEvery == 0 {
			s.End(syscall.SIGKILL)
			s = restart()
			kills++
		}
	}
	close(stop)
	for phone := range accepting {
		accepted = append(accepted, phone)
	}

	servicetest.Eventually(t, "every accepted message arrives", func() bool { return len(b.missing(accepted)) == 0 })
	servicetest.AwaitEmptyOutbox(t, stores)
	s.End(syscall.SIGTERM)
	again := b.check(t, accepted, calls*(1+kills))
	t.Logf("%d requests were accepted, the service was killed %d times, %d messages arrived again",
		len(accepted), kills, again)
}

// TestTakenOver checks that a message in the hands of a copy that is killed is delivered with the same identifier, by
// another copy and by the same one after a restart, on a single Redis and on a cluster.
func TestTakenOver(t *testing.T) {
	for name, redis := range map[string]func(t *testing.T) []string{
		"single": func(t *testing.T) []string { return []string{"REDIS_URL=" + servicetest.RedisURL(t)} },
		"cluster": func(*testing.T) []string {
			return []string{"REDIS_URL=" + os.Getenv("TEST_REDIS_CLUSTER_URL"), "REDIS_MODE=cluster"}
		},
	} {
		for _, by := range []string{"another copy", "a restart"} {
			t.Run(name+" "+by, func(t *testing.T) {
				if name == "single" { // there is one cluster, and any copy would take over the messages in it
					t.Parallel()
				}
				phone := fmt.Sprintf("+98912%07d", 3_000_000+len(name)*10+len(by))
				takeOver(t, redis(t), phone, by == "another copy")
			})
		}
	}
}

// takeOver kills a copy that is sending a message, and checks that another copy or a new one sends it again.
func takeOver(t *testing.T, redis []string, phone string, another bool) {
	t.Helper()
	w := servicetest.NewWebhook(t)
	w.Hold = make(chan struct{})
	stores := append(redis, "OTP_SECRET="+servicetest.OTPSecret, "OTP_LIMIT_IP=off", "OTP_TTL=10m")
	s := servicetest.Start(t, stores, w.Settings()...)
	var other *servicetest.Service
	if another {
		other = servicetest.Start(t, stores, w.Settings()...)
	}
	accepted := s.Want(s.Request(phone), 202, "")
	servicetest.Eventually(t, "the webhook is called", func() bool { return len(w.Messages()) > 0 })
	s.End(syscall.SIGKILL)
	close(w.Hold)
	if other == nil {
		other = servicetest.Launch(t, s.Dir, s.Env...)
		other.Await()
	}
	began := time.Now()
	other.AwaitStatus(accepted, "sent")
	if took := time.Since(began); took > takeover {
		t.Errorf("the message was delivered %v after the kill; want at most %v", took, takeover)
	}
	sent := w.Messages()
	isAnother := func(m map[string]string) bool { return m["id"] != sent[0]["id"] || m["code"] != sent[0]["code"] }
	if len(sent) < 2 || slices.ContainsFunc(sent, isAnother) {
		t.Fatalf("messages %v; want the same one twice", sent)
	}
	other.Want(other.Verify(phone, sent[0]["code"]), 201, "")
}

// TestStoppedWhileSending checks that nothing is lost when a copy stands still until another has taken over its
// messages, and then goes on.
func TestStoppedWhileSending(t *testing.T) {
	t.Parallel()
	const askers, each = 8, 50
	b := newMailbox(t, 200*time.Millisecond)
	stores := servicetest.RealStores(t)
	copies := []*servicetest.Service{
		servicetest.Start(t, stores, b.settings()...),
		servicetest.Start(t, stores, b.settings()...),
	}
	accepting := make(chan string, askers*each)
	var asking sync.WaitGroup
	for i := range askers {
		asking.Go(func() {
			for j := range each {
				phone := fmt.Sprintf("+98912%07d", 2_000_000+1000*i+j)
				if ask(copies[j%2].URL, phone) {
					accepting <- phone
				}
			}
		})
	}
	var accepted []string
	for len(accepted) < askers*each/4 {
		accepted = append(accepted, receive(t, accepting))
	}
	copies[0].Signal(syscall.SIGSTOP)
	began := time.Now()
	arrived := func() bool { return len(b.missing(accepted)) == 0 }
	servicetest.Eventually(t, "the other copy delivers the messages of the one that is stopped", arrived)
	if took := time.Since(began); took > takeover {
		t.Errorf("the messages were taken over after %v; want at most %v", took, takeover)
	}
	copies[0].Signal(syscall.SIGCONT)

	asking.Wait()
	close(accepting)
	for phone := range accepting {
		accepted = append(accepted, phone)
	}
	servicetest.Eventually(t, "every accepted message arrives", arrived)
	servicetest.AwaitEmptyOutbox(t, stores)
	for _, s := range copies {
		s.End(syscall.SIGTERM)
	}
	t.Logf("%d requests were accepted, %d messages arrived again", len(accepted), b.check(t, accepted, 2*calls))
	if len(accepted) < askers*each*3/4 {
		t.Errorf("only %d requests of %d were accepted", len(accepted), askers*each)
	}
}
