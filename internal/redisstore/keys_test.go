package redisstore

import (
	"strconv"
	"testing"
	"time"
)

// TestSlotOf compares with the example of the Redis Cluster specification and with what a real cluster says.
func TestSlotOf(t *testing.T) {
	if got := slotOf("123456789"); got != 0x31C3 {
		t.Errorf("slotOf(123456789) = %#x; want 0x31c3", got)
	}
	c := connect(t, "cluster")
	for _, tag := range []string{"0", "15", "+989121234567", "a tag"} {
		want, err := c.redis.ClusterKeySlot(t.Context(), "otp:{"+tag+"}:outbox").Result()
		if got := slotOf(tag); err != nil || got != int(want) {
			t.Errorf("slotOf(%s) = %d; the cluster says %d, %v", tag, got, want, err)
		}
	}
}

// TestEvenTags checks that masters which share the slots evenly share the partitions evenly.
func TestEvenTags(t *testing.T) {
	for _, n := range []int{1, 6, 16, 24, 100, 400, 1024} {
		began := time.Now()
		tags := evenTags(n)
		t.Logf("%d partitions: %v", n, time.Since(began))
		for _, masters := range []int{1, 2, 3, 5, 6, 12, 100} {
			kept := make(map[int]int)
			for _, tag := range tags {
				kept[slotOf(strconv.Itoa(tag))*masters/slots]++
			}
			for m := range masters {
				if least := n / masters; kept[m] < least || kept[m] > least+1 {
					t.Errorf("%d partitions on %d masters: master %d keeps %d", n, masters, m, kept[m])
				}
			}
		}
	}
}
