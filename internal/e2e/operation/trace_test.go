package operation

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

const (
	traceID    = "0af7651916cd43dd8448eb211c80319c"
	callerSpan = "b7ad6b7169203331"
	parent     = "00-" + traceID + "-" + callerSpan + "-01"
)

// A listener is a webhook that keeps the headers of its calls.
type listener struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := new(listener)
	l.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.headers = append(l.headers, r.Header)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) calls() []http.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.headers)
}

// wantTrace checks that the webhook was called once, with the trace of the caller and a state.
func (l *listener) wantTrace(t *testing.T, state string) {
	t.Helper()
	calls := l.calls()
	if len(calls) != 1 || calls[0].Get("Traceparent") != parent || calls[0].Get("Tracestate") != state {
		t.Errorf("the webhook was called with %v; want one call with the trace and %s", calls, state)
	}
}

func TestTraceContext(t *testing.T) {
	l := newListener(t)
	s := servicetest.Start(t, nil, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL)
	a := s.Want(s.Request(phone, "Traceparent: "+parent, "Tracestate: congo=t61rcWkgMzE"), 202, "")
	s.AwaitMessages()
	lines := s.LogLines(a.Header.Get("X-Request-ID"))
	for _, line := range lines {
		if !strings.Contains(line, " trace_id="+traceID+" span_id="+callerSpan) {
			t.Errorf("a line of the log has no trace: %s", line)
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines of the log are about the request; want one on the answer and one on the message", len(lines))
	}
	l.wantTrace(t, "congo=t61rcWkgMzE")
	s.Want(s.Verify(phone, "000000", "Traceparent: "+parent), 401, "")
	log := s.Log.String()
	if requests := strings.Count(log, " request_id="); requests < 4 || strings.Count(log, " trace_id=") != requests {
		t.Errorf("the log has a line of a request without a trace, or another one with it: %s", log)
	}
}

// TestForeignTraceContext checks that an invalid trace context is ignored, and that no trace is invented.
func TestForeignTraceContext(t *testing.T) {
	l := newListener(t)
	// The test repeats no request that is refused because SQLite is too slow.
	s := servicetest.Start(t, servicetest.RealStores(t), "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL)
	for i, headers := range []string{
		"",
		"Traceparent: 00-" + strings.ToUpper(traceID) + "-" + callerSpan + "-01\r\n",
		"Traceparent: " + parent + "\r\nTraceparent: " + parent + "\r\n",
		"Traceparent: \r\nTracestate: a=1\r\n",
	} {
		body := servicetest.JSON("phone", fmt.Sprintf("+98912123457%d", i))
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		const request = "POST /otp/request HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\n"
		_, _ = fmt.Fprintf(conn, request+"Content-Length: %d\r\n\r\n%s", headers, len(body), body)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != 202 {
			t.Errorf("headers %q: %v, %v; want 202", headers, response, err)
		}
		_ = conn.Close()
	}
	s.AwaitMessages()
	if strings.Contains(s.Log.String(), "trace_id") {
		t.Errorf("the log has a trace: %s", s.Log.String())
	}
	for _, h := range l.calls() {
		if h.Get("Traceparent")+h.Get("Tracestate") != "" {
			t.Errorf("the webhook was called with %v; want no trace", h)
		}
	}
}

// TestTraceContextOfAnotherCopy checks that a message that another copy delivers belongs to the trace of its request.
func TestTraceContextOfAnotherCopy(t *testing.T) {
	t.Parallel()
	stores := servicetest.RealStores(t)
	hanging := servicetest.NewWebhook(t)
	hanging.Hold = make(chan struct{})
	defer close(hanging.Hold)
	stores = append(stores, "OTP_SECRET="+servicetest.OTPSecret, "OTP_TTL=10m")
	dying := servicetest.Start(t, stores, hanging.Settings()...)
	dying.Want(dying.Request(phone, "Traceparent: "+parent, "Tracestate: a=1"), 202, "")
	servicetest.Eventually(t, "the webhook is called", func() bool { return len(hanging.Messages()) == 1 })
	dying.End(syscall.SIGKILL)

	l := newListener(t)
	s := servicetest.Start(t, stores, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL)
	sent := regexp.MustCompile(`msg="message sent" .* trace_id=` + traceID + " span_id=" + callerSpan)
	servicetest.Eventually(t, "another copy delivers the message", func() bool {
		return strings.Contains(s.Log.String(), "message sent")
	})
	if !sent.MatchString(s.Log.String()) {
		t.Errorf("the log has no trace: %s", s.Log.String())
	}
	l.wantTrace(t, "a=1")
}

// A collector takes spans as an OTLP/HTTP receiver does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	text  strings.Builder // of all spans
}

func (c *collector) taken() (spans []*tracepb.Span, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans), c.text.String()
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent tracepb.TracesData
		if err := proto.Unmarshal(body, &sent); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector was sent no batch of spans to %s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range sent.ResourceSpans {
			for _, in := range of.ScopeSpans {
				c.spans = append(c.spans, in.Spans...)
			}
		}
		c.text.WriteString(sent.String())
	}))
	t.Cleanup(c.Close)
	return c
}

func attribute(s *tracepb.Span, name string) any {
	for _, a := range s.Attributes {
		if a.Key == name && a.Value.GetStringValue() != "" {
			return a.Value.GetStringValue()
		} else if a.Key == name {
			return a.Value.GetIntValue()
		}
	}
	return nil
}

// TestTraces checks that a login is one tree of spans, and that no span identifies a person.
func TestTraces(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		c, w := newCollector(t), servicetest.NewWebhook(t)
		s := servicetest.Start(t, stores,
			append(w.Settings(), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=10")...)
		s.Want(s.Request(phone, "Traceparent: "+parent), 202, "")
		s.AwaitMessages()
		code := w.Messages()[0]["code"]
		login := s.Want(s.Verify(phone, code, "Traceparent: "+parent), 201, "")
		s.Want(s.Verify(phone, servicetest.WrongCode(code), "Traceparent: "+parent), 401, "")
		s.Want(s.Call("GET", "/healthz", ""), 200, "")
		s.Want(s.Call("GET", "/me?secret=1", "", servicetest.Bearer(login)), 200, "")
		servicetest.Eventually(t, "the collector has the last span", func() bool {
			spans, _ := c.taken()
			return slices.ContainsFunc(answered(spans), func(s *tracepb.Span) bool { return s.Name == "GET /me" })
		})
		s.End(syscall.SIGTERM)

		database := "postgresql"
		if stores == nil {
			database = "sqlite"
		}
		spans, text := c.taken()
		isTree(t, answered(spans), database)
		for _, span := range spans {
			hasAttributes(t, span)
		}
		for _, personal := range []string{
			phone[1:], code, "127.0.0.1", "secret=1", login.Text("user", "id"), login.Text("access_token"), "eyJ",
		} {
			if strings.Contains(text, personal) {
				t.Errorf("a span holds %q", personal)
			}
		}
		if !strings.Contains(text, `"dekamond-otp"`) || strings.Contains(text, "healthz") {
			t.Errorf("the collector was sent %s; want the name of the service, and no probes", text)
		}
		logged := strings.Join(s.LogLines(login.Header.Get("X-Request-ID")), "")
		if !regexp.MustCompile(" trace_id=" + traceID + " span_id=[0-9a-f]{16}").MatchString(logged) {
			t.Errorf("the log of the login is %q; want the trace", logged)
		}
	})
}

// answered returns the spans without those of requests that were answered 503, which servicetest.Call has repeated.
func answered(spans []*tracepb.Span) []*tracepb.Span {
	failed := make(map[string]bool)
	for _, span := range spans {
		if attribute(span, "http.response.status_code") == int64(http.StatusServiceUnavailable) {
			failed[string(span.SpanId)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(spans), func(s *tracepb.Span) bool {
		return failed[string(s.SpanId)] || failed[string(s.ParentSpanId)]
	})
}

// isTree checks which spans of a login stand below which, and that the spans of GET /me are in a trace of their own.
func isTree(t *testing.T, spans []*tracepb.Span, database string) {
	t.Helper()
	byID, children := make(map[string]*tracepb.Span), make(map[string][]string)
	for _, span := range spans {
		byID[fmt.Sprintf("%x", span.SpanId)] = span
	}
	own := 0
	for _, span := range spans {
		if fmt.Sprintf("%x", span.TraceId) != traceID {
			own++
			continue
		}
		above := "the caller"
		if id := fmt.Sprintf("%x", span.ParentSpanId); id != callerSpan {
			above = byID[id].GetName()
		}
		children[above] = append(children[above], span.Name)
	}
	for above, want := range map[string][]string{
		"the caller":        {"POST /otp/request", "POST /otp/verify", "POST /otp/verify"},
		"POST /otp/request": {"deliver message", "open redis"},
		"deliver message":   {"settle redis", "send webhook"},
		"POST /otp/verify":  {"login " + database, "check redis", "check redis", "close redis"},
	} {
		got := children[above]
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("below %s are %v; want %v", above, got, want)
		}
	}
	if own != 2 {
		t.Errorf("%d spans are in traces of their own; want the two of GET /me", own)
	}
}

// hasAttributes checks the attributes of a span of a request, or of a provider's call.
func hasAttributes(t *testing.T, span *tracepb.Span) {
	t.Helper()
	if span.Kind == tracepb.Span_SPAN_KIND_SERVER {
		name := fmt.Sprint(attribute(span, "http.request.method"), " ", attribute(span, "http.route"))
		if span.Name != name || attribute(span, "http.response.status_code") == nil {
			t.Errorf("the span of a request is %v", span)
		}
	}
	if attribute(span, "otp.provider") != nil && attribute(span, "otp.result") != "taken" {
		t.Errorf("the span of a call is %v", span)
	}
}

// TestTracesOfFailures checks that a trace shows which provider failed, and that the service exports the spans that are
// left when it ends.
func TestTracesOfFailures(t *testing.T) {
	c, w := newCollector(t), servicetest.NewWebhook(t)
	w.Status.Store(500)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=webhook,console",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME=login")...)
	s.Code(phone)
	const parting, closeTimeout = time.Second, 2 * time.Second // of packages httpapi and trace
	began := time.Now()
	s.End(syscall.SIGTERM)
	isSlow := time.Since(began) >= parting+closeTimeout
	spans, text := c.taken()
	results := make(map[string]string)
	for _, span := range spans {
		if result, ok := attribute(span, "otp.result").(string); ok {
			results[span.Name] = fmt.Sprint(result, " ", span.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR)
		}
	}
	want := map[string]string{"send webhook": "failed true", "send console": "taken false"}
	if !maps.Equal(results, want) {
		if isSlow {
			t.Skip("this machine is too slow: the service had no time to export its spans")
		}
		t.Errorf("the calls ended as %v; want %v", results, want)
	}
	if !strings.Contains(text, `"login"`) {
		t.Errorf("the collector was sent %s; want the name of the service", text)
	}
}

// TestCollectorAway checks that no login waits for a collector that is absent or hangs. A login that waited would take
// at least as long as the exporter's timeout.
func TestCollectorAway(t *testing.T) {
	hold := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer hanging.Close()
	defer close(hold)
	const timeout = 5 * time.Second
	for name, endpoint := range map[string]string{
		"absent":  "http://" + servertest.FreeAddress(t),
		"hanging": hanging.URL,
	} {
		t.Run(name, func(t *testing.T) {
			s := servicetest.Start(t, nil,
				"OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint,
				"OTEL_EXPORTER_OTLP_TIMEOUT="+strconv.FormatInt(timeout.Milliseconds(), 10),
				"OTEL_BSP_SCHEDULE_DELAY=10",
				"OTEL_BSP_MAX_QUEUE_SIZE=10",
				"OTP_LIMIT_IP=off",
			)
			quickest := time.Hour // of the logins for which the queue has no room
			for i := range 20 {
				began := time.Now()
				number := fmt.Sprintf("+9891212345%02d", i)
				s.Want(s.Verify(number, s.Code(number)), 201, "")
				if i >= 10 {
					quickest = min(quickest, time.Since(began))
				}
			}
			if quickest >= timeout {
				t.Errorf("every login took at least %v", quickest)
			}
			servicetest.Eventually(t, "the log reports that the collector is away", func() bool {
				return strings.Contains(s.Log.String(), "spans lost")
			})
			s.End(syscall.SIGTERM)
			log := s.Log.String()
			if n := strings.Count(log, "spans lost"); n != 1 || strings.Count(log, `level=WARN msg="spans `) > 2 {
				t.Errorf("the log reports lost spans %d times; want once, and one warning of spans besides: %s", n, log)
			}
			if !strings.Contains(log, "msg=stopped") {
				t.Errorf("the service did not end properly: %s", log)
			}
		})
	}
}
