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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"dekamond-otp/internal/e2e/servicetest"
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

func TestTraceContext(t *testing.T) {
	l := newListener(t)
	s := servicetest.Start(t, nil, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL)
	a := s.Want(s.Request(servicetest.Phone, "Traceparent: "+parent, "Tracestate: congo=t61rcWkgMzE"), 202, "")
	s.AwaitMessages()
	lines := s.LogLines(a.Header.Get("X-Request-ID"))
	for _, line := range lines {
		if !strings.Contains(line, " trace_id="+traceID+" span_id="+callerSpan) {
			t.Errorf("a line of the log has no trace: %s", line)
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines of the log are the request's; want that of the answer and that of the message", len(lines))
	}
	calls := l.calls()
	if len(calls) != 1 || calls[0].Get("Traceparent") != parent || calls[0].Get("Tracestate") != "congo=t61rcWkgMzE" {
		t.Errorf("the webhook was called with %v; want the trace", calls)
	}
	s.Want(s.Verify(servicetest.Phone, "000000", "Traceparent: "+parent), 401, "")
	if strings.Count(s.Log.String(), "trace_id=") != 4 {
		t.Errorf("the log has a line without a trace, or one too many: %s", s.Log.String())
	}
}

// TestForeignTraceContext holds that what is not valid is as good as not there, and that no trace is made up.
func TestForeignTraceContext(t *testing.T) {
	l := newListener(t)
	s := servicetest.Start(t, nil, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL)
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
		_, _ = fmt.Fprintf(conn, "POST /otp/request HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", headers, len(body), body)
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

// TestTraceContextOfAnotherCopy holds that a trace outlives the copy that its request came to.
func TestTraceContextOfAnotherCopy(t *testing.T) {
	t.Parallel()
	stores := servicetest.RealStores(t)
	hanging := servicetest.NewWebhook(t)
	hanging.Hold = make(chan struct{})
	defer close(hanging.Hold)
	secret := "OTP_SECRET=" + servicetest.OTPSecret
	dying := servicetest.Start(t, stores, append(hanging.Settings(), secret)...)
	dying.Want(dying.Request(servicetest.Phone, "Traceparent: "+parent, "Tracestate: a=1"), 202, "")
	servicetest.Eventually(t, "the message is on its way", func() bool { return len(hanging.Messages()) == 1 })
	dying.End(syscall.SIGKILL)

	l := newListener(t)
	s := servicetest.Start(t, stores, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL="+l.URL, secret)
	sent := regexp.MustCompile(`msg="message sent" .* trace_id=` + traceID + " span_id=" + callerSpan)
	servicetest.Eventually(t, "another copy delivers the message", func() bool { return strings.Contains(s.Log.String(), "message sent") })
	if !sent.MatchString(s.Log.String()) {
		t.Errorf("the log has no trace: %s", s.Log.String())
	}
	if calls := l.calls(); len(calls) != 1 || calls[0].Get("Traceparent") != parent || calls[0].Get("Tracestate") != "a=1" {
		t.Errorf("the webhook was called with %v; want the trace", calls)
	}
}

// A collector takes spans as an OTLP/HTTP receiver does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	text  strings.Builder // all that it was sent
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
			t.Errorf("the collector is sent to %s what is no batch: %v", r.URL.Path, err)
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

// TestTraces holds that a login is one tree of spans that tells of nobody.
func TestTraces(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		c, p := newCollector(t), servicetest.NewWebhook(t)
		s := servicetest.Start(t, stores, append(p.Settings(), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)...)
		s.Want(s.Request(servicetest.Phone, "Traceparent: "+parent), 202, "")
		s.AwaitMessages()
		code := p.Messages()[0]["code"]
		login := s.Want(s.Verify(servicetest.Phone, code, "Traceparent: "+parent), 201, "")
		s.Want(s.Verify(servicetest.Phone, servicetest.WrongCode(code), "Traceparent: "+parent), 401, "")
		s.Want(s.Call("GET", "/healthz", ""), 200, "")
		s.Want(s.Call("GET", "/me?secret=1", "", "Authorization: Bearer "+login.Text("access_token")), 200, "")
		s.End(syscall.SIGTERM) // what has not been exported is, then

		database := "postgresql"
		if stores == nil {
			database = "sqlite"
		}
		spans, text := c.taken()
		byID, children := make(map[string]*tracepb.Span), make(map[string][]string)
		for _, span := range spans {
			byID[fmt.Sprintf("%x", span.SpanId)] = span
		}
		own := 0
		for _, span := range spans {
			above := "the caller"
			if id := fmt.Sprintf("%x", span.ParentSpanId); id != callerSpan {
				above = byID[id].GetName()
			}
			if fmt.Sprintf("%x", span.TraceId) != traceID {
				own++
				continue
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
			t.Errorf("%d spans are in traces of their own; want those of GET /me", own)
		}
		for _, span := range spans {
			if route, _ := attribute(span, "http.route").(string); span.Kind == tracepb.Span_SPAN_KIND_SERVER &&
				(span.Name != attribute(span, "http.request.method").(string)+" "+route || attribute(span, "http.response.status_code") == nil) {
				t.Errorf("the span of a request is %v", span)
			}
			if attribute(span, "otp.provider") != nil && attribute(span, "otp.result") != "taken" {
				t.Errorf("the span of a try is %v", span)
			}
		}
		for _, personal := range []string{servicetest.Phone[1:], code, "127.0.0.1", "secret=1", login.Text("user", "id"), login.Text("access_token"), "eyJ"} {
			if strings.Contains(text, personal) {
				t.Errorf("a span tells %q", personal)
			}
		}
		if !strings.Contains(text, `"dekamond-otp"`) || strings.Contains(text, "healthz") {
			t.Errorf("the collector was sent %s; want the name of the service, and no probes", text)
		}
		if header := s.LogLines(login.Header.Get("X-Request-ID")); len(header) == 0 || !regexp.MustCompile(" trace_id="+traceID+" span_id=[0-9a-f]{16}").MatchString(header[0]) {
			t.Errorf("the log of the login is %v; want the trace", header)
		}
	})
}

// TestTracesOfFailures holds that a trace shows which provider failed.
func TestTracesOfFailures(t *testing.T) {
	c, p := newCollector(t), servicetest.NewWebhook(t)
	p.Status.Store(500)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=webhook,console", "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME=login")...)
	s.Code(servicetest.Phone)
	s.End(syscall.SIGTERM)
	spans, text := c.taken()
	results := make(map[string]string)
	for _, span := range spans {
		if result, ok := attribute(span, "otp.result").(string); ok {
			results[span.Name] = fmt.Sprint(result, " ", span.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR)
		}
	}
	if want := map[string]string{"send webhook": "failed true", "send console": "taken false"}; !maps.Equal(results, want) {
		t.Errorf("the tries came to %v; want %v", results, want)
	}
	if !strings.Contains(text, `"login"`) {
		t.Errorf("the collector was sent %s; want the name of the service", text)
	}
}

// TestCollectorAway holds that nobody waits for a collector, one that is not there and one that hangs.
func TestCollectorAway(t *testing.T) {
	hold := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer hanging.Close()
	defer close(hold)
	for name, endpoint := range map[string]string{"absent": "http://" + servicetest.FreeAddress(t), "hanging": hanging.URL} {
		t.Run(name, func(t *testing.T) {
			s := servicetest.Start(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_EXPORTER_OTLP_TIMEOUT=300",
				"OTEL_BSP_MAX_QUEUE_SIZE=10", "OTP_LIMIT_IP=off")
			var slowest time.Duration
			for i := range 20 {
				began := time.Now()
				number := fmt.Sprintf("+9891212345%02d", i)
				s.Want(s.Verify(number, s.Code(number)), 201, "")
				slowest = max(slowest, time.Since(began))
			}
			if slowest > time.Second {
				t.Errorf("a login took %v", slowest)
			}
			servicetest.Eventually(t, "the log says that the collector is away", func() bool { return strings.Contains(s.Log.String(), "spans lost") })
			began := time.Now()
			s.End(syscall.SIGTERM)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the service took %v to end", took)
			}
			log := s.Log.String()
			if n := strings.Count(log, "spans lost"); n != 1 || strings.Count(log, "level=WARN") > 2 || !strings.Contains(log, "msg=stopped") {
				t.Errorf("the log says %d times that spans are lost; want once, and an end: %s", n, log)
			}
		})
	}
}
