package probe

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := []time.Duration{40, 10, 30, 20, 50}
		asked := 0
		latency, skew, err := Clock(func() (time.Time, error) {
			wait := waits[asked] * time.Millisecond
			asked++
			late := wait - 10*time.Millisecond // all but the shortest round trip are long in one direction
			time.Sleep((wait-late)/2 + late)
			server := time.Now().Add(time.Hour)
			time.Sleep((wait - late) / 2)
			return server, nil
		})
		if latency != 30*time.Millisecond || skew != time.Hour || err != nil {
			t.Errorf("Clock = %s, %s, %v; want the median of 30ms and 1h", latency, skew, err)
		}
	})
	if _, _, err := Clock(func() (time.Time, error) { return time.Time{}, io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("Clock of a server that hangs up: %v; want %v", err, io.EOF)
	}
}
