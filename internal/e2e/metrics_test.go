package e2e

import (
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// internal gives the address for those who run the service.
func (s *service) internal() string {
	s.t.Helper()
	var address []string
	eventually(s.t, "the log says where the metrics are", func() bool {
		address = regexp.MustCompile(`msg=metrics address=(\S+)`).FindStringSubmatch(s.log.String())
		return address != nil
	})
	return address[1]
}

func (s *service) metrics() string {
	s.t.Helper()
	response, err := client.Get("http://" + s.internal() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func TestMetrics(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "INTERNAL_ADDR=127.0.0.1:0", "SMS_REGIONS=IR", "OTP_RESEND_AFTER=30s")
		code := s.code(phone)
		s.want(s.request(phone), 429, "resend_too_soon")
		s.want(s.request("+14155552671"), 403, "destination_not_allowed")
		s.want(s.request("0"), 422, "invalid_phone")
		s.verify(phone, wrongCode(code))
		login := s.want(s.verify(phone, code), 201, "")
		s.want(s.call("GET", "/me", "", "Authorization: Bearer "+login.text("access_token")), 200, "")
		s.want(s.call("GET", "/nothing/here", ""), 404, "not_found")
		text := s.metrics()
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
			`otp_redis_call_duration_seconds_count{call="check",result="ok"} 2`,
			`otp_database_call_duration_seconds_count{call="login",result="ok"} 1`,
			`otp_database_call_duration_seconds_count{call="by_session",result="ok"} 1`,
			`otp_outbox_messages 0`,
			`otp_outbox_oldest_seconds 0`,
			`otp_redis_pool_timeouts_total 0`,
			`otp_database_pool_connections{state="idle"}`,
			`otp_build_info{version="`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the metrics do not have %s:\n%s", want, strings.Join(regexp.MustCompile(`(?m)^otp_\w+(?:_count|_total).*$`).FindAllString(text, -1), "\n"))
			}
		}
		delay := regexp.MustCompile(`otp_verify_delay_seconds_sum\{provider="console"\} (\S+)`).FindStringSubmatch(text)
		if delay == nil {
			t.Fatal("no delay")
		}
		if seconds, err := strconv.ParseFloat(delay[1], 64); seconds <= 0 || seconds > 60 || err != nil {
			t.Errorf("the person took %s s; want some", delay[1])
		}
		for _, private := range []string{"9121234567", "4155552671", "nothing"} {
			if strings.Contains(text, private) {
				t.Errorf("the metrics hold %s", private)
			}
		}
		if a := s.call("GET", "/metrics", ""); a.status != 404 {
			t.Errorf("the public address answers %d to /metrics; want 404", a.status)
		}
	})
}

// numbers gives what the operator's page draws: the copies, and each event with how often it happened.
func (s *service) numbers() (copies int, counts map[string]int) {
	s.t.Helper()
	response, err := client.Get("http://" + s.internal() + "/numbers.json")
	if err != nil {
		s.t.Fatal(err)
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
		s.t.Fatal(err)
	}
	counts = make(map[string]int)
	for _, h := range numbers.Hours {
		for _, c := range h.Counts {
			counts[c.Event] += c.N
		}
	}
	return numbers.Copies, counts
}

// TestNumbersOfCopies holds that every copy's page shows what all copies have counted, also those that have ended.
func TestNumbersOfCopies(t *testing.T) {
	stores := append(real(t), "OTP_SECRET="+otpSecret, "JWT_SECRET="+jwtSecret, "INTERNAL_ADDR=127.0.0.1:0")
	a, b := start(t, stores), start(t, stores)
	shows := func(s *service, copies int, want map[string]int) {
		t.Helper()
		eventually(t, "a page shows what all copies have counted", func() bool {
			n, counts := s.numbers()
			for event, times := range want {
				if counts[event] != times {
					return false
				}
			}
			return n == copies
		})
	}
	code := a.code(phone)
	a.verify(phone, wrongCode(code))
	b.want(b.verify(phone, code), 201, "")
	want := map[string]int{"requested": 1, "sent": 1, "wrong": 1, "verified": 1}
	shows(a, 2, want)
	shows(b, 2, want)
	a.want(a.request("+989121234568"), 202, "")
	a.signal(syscall.SIGTERM)
	want["requested"], want["sent"] = 2, 2
	shows(b, 1, want)
	b.signal(syscall.SIGTERM)
	shows(start(t, stores), 1, want)
}

// TestInternalAddressTaken holds that it is no reason to keep people from logging in.
func TestInternalAddressTaken(t *testing.T) {
	first := start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
	second := start(t, nil, "INTERNAL_ADDR="+first.internal())
	eventually(t, "the log says that the address is taken", func() bool { return strings.Contains(second.log.String(), "no metrics") })
}
