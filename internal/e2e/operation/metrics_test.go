package operation

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMetrics(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores,
			"INTERNAL_ADDR=127.0.0.1:0", "SMS_REGIONS=IR", "OTP_RESEND_AFTER=2m")
		code := s.Code(phone)
		s.Want(s.Request(phone), 429, "resend_too_soon")
		s.Want(s.Request("+14155552671"), 403, "destination_not_allowed")
		s.Want(s.Request("0"), 422, "invalid_phone")
		s.Verify(phone, servicetest.WrongCode(code))
		login := s.Want(s.Verify(phone, code), 201, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
		s.Want(s.Call("GET", "/nothing/here", ""), 404, "not_found")
		text := s.Metrics()
		// Call repeats a login that the database was too slow for, and the code is checked once more.
		checks := 2 + strings.Count(s.Log.String(), "method=POST route=/otp/verify status=503")
		for _, want := range []string{
			`otp_requests_total{outcome="accepted",region="IR"} 1`,
			`otp_requests_total{outcome="resend_too_soon",region="IR"} 1`,
			`otp_requests_total{outcome="destination_not_allowed",region="US"} 1`,
			`otp_messages_total{event="sent",provider="console",region="IR"} 1`,
			`otp_messages_total{event="verified",provider="console",region="IR"} 1`,
			`otp_verifications_total{outcome="wrong",region="IR"} 1`,
			`otp_verifications_total{outcome="verified",region="IR"} 1`,
			`otp_verify_delay_seconds_count{provider="console"} 1`,
			`otp_provider_call_duration_seconds_count{provider="console",result="taken"} 1`,
			`otp_provider_resting{provider="console"} 0`,
			`otp_problems_total{code="invalid_phone",route="/otp/request"} 1`,
			`otp_problems_total{code="invalid_code",route="/otp/verify"} 1`,
			`otp_problems_total{code="not_found",route="none"} 1`,
			`otp_http_request_duration_seconds_count{class="2xx",method="POST",route="/otp/request"} 1`,
			`otp_http_request_duration_seconds_count{class="4xx",method="POST",route="/otp/request"} 3`,
			`otp_redis_call_duration_seconds_count{call="open",result="ok"} 2`,
			`otp_redis_call_duration_seconds_count{call="check",result="ok"} ` + strconv.Itoa(checks),
			`otp_database_call_duration_seconds_count{call="login",result="ok"} 1`,
			`otp_database_call_duration_seconds_count{call="by_session",result="ok"} 1`,
			`otp_outbox_messages 0`,
			`otp_outbox_oldest_seconds 0`,
			`otp_redis_pool_timeouts_total 0`,
			`otp_database_pool_connections{state="idle"}`,
			`otp_build_info{version="`,
		} {
			if !strings.Contains(text, want) {
				counters := regexp.MustCompile(`(?m)^otp_\w+(?:_count|_total).*$`).FindAllString(text, -1)
				t.Errorf("the metrics do not have %s:\n%s", want, strings.Join(counters, "\n"))
			}
		}
		delay := regexp.MustCompile(`otp_verify_delay_seconds_sum\{provider="console"\} (\S+)`).FindStringSubmatch(text)
		if delay == nil {
			t.Fatal("the metrics have no delay until the answer")
		}
		if seconds, err := strconv.ParseFloat(delay[1], 64); seconds <= 0 || seconds > 600 || err != nil {
			t.Errorf("the delay until the answer is %s s; want some seconds", delay[1])
		}
		for _, private := range []string{"9121234567", "4155552671", "nothing"} {
			if strings.Contains(text, private) {
				t.Errorf("the metrics hold %s", private)
			}
		}
		if a := s.Call("GET", "/metrics", ""); a.Status != 404 {
			t.Errorf("the public address answers %d to /metrics; want 404", a.Status)
		}
	})
}

// numbers returns what the operator's page draws: the number of copies, and how often each event has happened.
func numbers(t *testing.T, s *servicetest.Service) (copies int, counts map[string]int) {
	t.Helper()
	response, err := servicetest.Client.Get("http://" + s.InternalAddress() + "/numbers.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var numbers struct {
		Copies int
		Hours  []struct {
			Counts []struct {
				Event string
				N     int
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&numbers); err != nil {
		t.Fatal(err)
	}
	counts = make(map[string]int)
	for _, h := range numbers.Hours {
		for _, c := range h.Counts {
			counts[c.Event] += c.N
		}
	}
	return numbers.Copies, counts
}

// TestOutcomes checks that each reason to refuse a request or an attempt is counted by its own word.
func TestOutcomes(t *testing.T) {
	s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0", "OTP_TTL=10m", "OTP_RESEND_AFTER=off",
		"OTP_LIMIT_PHONE=2/24h", "OTP_LIMIT_TRIES_IP=3/24h", "OTP_MAX_ATTEMPTS=1", "OTP_DAILY_ATTEMPTS=1")
	const target, next = "+989121234501", "+989121234502"
	change := func(login servicetest.Answer, path, phone, code string) servicetest.Answer {
		t.Helper()
		body := servicetest.JSON("phone", phone, "code", code)
		return s.Call("POST", "/me/phone/"+path, body, servicetest.Bearer(login))
	}
	a, b := s.Login("+989121234503"), s.Login("+989121234504")
	s.Want(s.Verify(target, "00000000"), 422, "invalid_code_format") // too_long
	code := s.Code(target)
	s.Want(s.Verify(target, servicetest.WrongCode(code)), 401, "") // wrong
	s.Want(s.Verify(target, code), 401, "")                        // burnt
	long := s.Code(target)
	s.Want(s.Verify(target, code), 401, "")             // too_short
	s.Want(s.Request(target), 429, "too_many_requests") // phone_limit
	s.Want(change(a, "request", next, ""), 202, "")
	s.Want(change(a, "verify", next, servicetest.WrongCode(s.ShownCode(next))), 401, "") // wrong
	s.Want(change(a, "verify", next, s.ShownCode(next)), 429, "too_many_requests")       // user_tries
	s.Want(change(a, "request", "+989121234505", ""), 429, "too_many_requests")          // daily_limit
	s.Want(change(b, "request", "+989121234505", ""), 202, "")
	s.Want(change(b, "request", "+989121234506", ""), 202, "")
	s.Want(change(b, "request", "+989121234507", ""), 429, "too_many_requests") // user_limit
	s.Want(s.Verify(target, servicetest.WrongCode(long)), 401, "")              // wrong
	s.Want(s.Verify(target, long), 429, "too_many_requests")                    // address_tries
	text := s.Metrics()
	for _, want := range []string{
		`otp_requests_total{outcome="phone_limit",region="IR"} 1`,
		`otp_requests_total{outcome="daily_limit",region="IR"} 1`,
		`otp_requests_total{outcome="user_limit",region="IR"} 1`,
		`otp_verifications_total{outcome="too_long",region="IR"} 1`,
		`otp_verifications_total{outcome="too_short",region="IR"} 1`,
		`otp_verifications_total{outcome="burnt",region="IR"} 1`,
		`otp_verifications_total{outcome="wrong",region="IR"} 3`,
		`otp_verifications_total{outcome="user_tries",region="IR"} 1`,
		`otp_verifications_total{outcome="address_tries",region="IR"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			counters := regexp.MustCompile(`(?m)^otp_(requests|verifications)_total.*$`).FindAllString(text, -1)
			t.Errorf("the metrics do not have %s:\n%s", want, strings.Join(counters, "\n"))
		}
	}
}

// TestNumbersOfCopies checks that the page of every copy shows what all copies have counted, ended ones included.
func TestNumbersOfCopies(t *testing.T) {
	stores := append(servicetest.RealStores(t), "INTERNAL_ADDR=127.0.0.1:0",
		"OTP_SECRET="+servicetest.OTPSecret, "JWT_SECRET="+servicetest.JWTSecret)
	a, b := servicetest.Start(t, stores), servicetest.Start(t, stores)
	shows := func(s *servicetest.Service, copies int, want map[string]int) {
		t.Helper()
		servicetest.Eventually(t, "a page shows what all copies have counted", func() bool {
			n, counts := numbers(t, s)
			for event, times := range want {
				if counts[event] != times {
					return false
				}
			}
			return n == copies
		})
	}
	code := a.Code(phone)
	a.Verify(phone, servicetest.WrongCode(code))
	b.Want(b.Verify(phone, code), 201, "")
	want := map[string]int{"requested": 1, "sent": 1, "wrong": 1, "verified": 1}
	shows(a, 2, want)
	shows(b, 2, want)
	a.Want(a.Request("+989121234568"), 202, "")
	a.End(syscall.SIGTERM)
	want["requested"], want["sent"] = 2, 2
	shows(b, 1, want)
	b.End(syscall.SIGTERM)
	shows(servicetest.Start(t, stores), 1, want)
}

// TestInternalAddressTaken checks that a service whose internal address is taken starts without metrics.
func TestInternalAddressTaken(t *testing.T) {
	first := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
	second := servicetest.Start(t, nil, "INTERNAL_ADDR="+first.InternalAddress())
	servicetest.Eventually(t, "the log reports that the address is taken", func() bool {
		return strings.Contains(second.Log.String(), "no metrics")
	})
}
