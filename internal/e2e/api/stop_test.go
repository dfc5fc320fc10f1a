package api

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// stopTests are connections at a SIGTERM. What is written before it may be a part of a request.
var stopTests = map[string]struct {
	before, after string
	want          []int // the answers after the signal, of which the last ends the connection
}{
	"half a body":                   {sized + "\r\n" + invalid[:5], invalid[5:], []int{422}},
	"half a body that stalls":       {sized + "\r\n" + invalid[:5], "", []int{408}},
	"half a chunk":                  {chunked + chunks[:8], chunks[8:], []int{422}},
	"half a chunk that stalls":      {chunked + chunks[:8], "", []int{408}},
	"half a head":                   {good[:25], good[25:], []int{200}},
	"half a head that stalls":       {good[:25], "", []int{408}},
	"a connection without a byte":   {"", good, []int{200}},
	"an idle connection":            {good, "", nil},
	"a request on a kept one":       {good, good, []int{200}},
	"half a body on a kept one":     {good + sized + "\r\n" + invalid[:5], invalid[5:], []int{422}},
	"half a head on a kept one":     {good + good[:25], good[25:], []int{200}},
	"half a body with more behind":  {sized + "\r\n" + invalid[:5], invalid[5:] + good + good, []int{422}},
	"half a body in a pipeline":     {good + good + sized + "\r\n" + invalid[:5], invalid[5:] + good, []int{422}},
	"half a body of an expectation": {sized + "Expect: 100-continue\r\n\r\n", invalid, []int{422}},
}

// TestStopAnswers checks that a SIGTERM leaves no request without an answer, of which any part had arrived, and none
// that a client sends right after it on a connection that it had. What comes later than a second after the signal, or
// than five seconds after the first byte of its request, may come too late, so such a try is repeated.
func TestStopAnswers(t *testing.T) {
	for name, tc := range stopTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 10 {
				s := servicetest.Start(t, nil)
				w := dial(t, s)
				if inTime := stop(t, s, w, tc.before, tc.after); inTime {
					checkStopped(t, s, w, tc.want)
					return
				}
			}
			t.Skip("this machine is too slow")
		})
	}
}

// stop writes a part of a request, sends the signal, and writes the rest. It reports whether it did so in time.
func stop(t *testing.T, s *servicetest.Service, w wire, before, after string) (inTime bool) {
	t.Helper()
	first := time.Now()
	w.write(t, before)
	for range strings.Count(before, good) {
		if status, closes := w.answer(t); status != 200 || closes {
			t.Fatalf("before the signal: %d, and the connection is closed: %t", status, closes)
		}
	}
	if strings.Contains(before, "Expect") {
		if status, _ := w.answer(t); status != 100 {
			t.Fatalf("before the signal: %d; want 100", status)
		}
	}
	// The service accepts this connection after the first one. A stop loses connections that it has not accepted.
	other := dial(t, s)
	other.write(t, good)
	other.answer(t)
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	servicetest.Eventually(t, "the service stops", func() bool {
		return strings.Contains(s.Log.String(), "msg=stopping")
	})
	_, _ = io.WriteString(w, after)
	const parting, readTimeout = time.Second, 5 * time.Second
	return time.Since(began) < parting*9/10 && time.Since(first) < readTimeout*8/10
}

// checkStopped checks the answers after the signal, and that the service ends by itself.
func checkStopped(t *testing.T, s *servicetest.Service, w wire, want []int) {
	t.Helper()
	for _, want := range append(want, 0) {
		status, closes := w.answer(t)
		if status != want || !closes {
			t.Fatalf("%d, and the connection is closed: %t; want %d and its end", status, closes, want)
		}
	}
	<-s.Exited
	if code := s.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the service ended with %d; want 0", code)
	}
}
