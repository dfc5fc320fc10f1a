package redisstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

func TestBacklog(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		s := newCodes(t, c, otp.Policy{TTL: time.Minute, MaxAttempts: 5, DailyAttempts: 30}, 3)
		want := func(messages int, least, most time.Duration) {
			t.Helper()
			n, oldest, err := s.Backlog(t.Context())
			if err != nil || n != messages {
				t.Errorf("Backlog = %d, %v, %v; want %d messages", n, oldest, err, messages)
			}
			if oldest < least || oldest > most {
				t.Errorf("Backlog: the oldest is %v old; want %v to %v", oldest, least, most)
			}
		}
		want(0, 0, 0)
		began := time.Now()
		var last otp.Challenge
		for i := range 20 {
			var err error
			last, err = s.Open(t.Context(), otp.Opening{
				Place:  otp.Place{Phone: otp.Pseudonym(fmt.Sprint("backlog", i))},
				ID:     uuid.Must(uuid.NewV7()),
				Digest: "digest",
				Letter: []byte("letter"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
		want(20, 15*time.Millisecond, time.Since(began)+time.Minute)
		if err := s.Settle(t.Context(), last.Lease, otp.Outcome{State: otp.Sent}); err != nil {
			t.Fatal(err)
		}
		want(19, 15*time.Millisecond, time.Since(began)+time.Minute)
	})
}

// TestFullOutbox checks that a request whose message finds no room is refused and changes nothing.
func TestFullOutbox(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		perPhone := otp.Limit{Max: 1, Window: time.Minute}
		codes := newCodes(t, c, otp.Policy{TTL: time.Minute, MaxAttempts: 5, PerPhone: perPhone}, 1)
		codes.outboxMax = 2
		own := rand.Text()
		open := func(phone string) (otp.Challenge, error) {
			return codes.Open(t.Context(), otp.Opening{
				Place:  otp.Place{Phone: otp.Pseudonym(own + phone)},
				ID:     uuid.New(),
				Digest: "digest",
				Letter: []byte("letter"),
			})
		}
		var first otp.Challenge
		for _, phone := range []string{"a", "b"} {
			c, err := open(phone)
			if err != nil {
				t.Fatal(err)
			}
			first = c
		}
		for range 2 {
			if _, err := open("c"); !errors.Is(err, otp.ErrUnavailable) || !errors.Is(err, errFull) {
				t.Errorf("Open: %v; want it refused as full", err)
			}
		}
		if err := codes.Settle(t.Context(), first.Lease, otp.Outcome{State: otp.Sent}); err != nil {
			t.Fatal(err)
		}
		if _, err := open("c"); err != nil {
			t.Errorf("Open: %v; want it accepted, because the refused calls did not count", err)
		}
	})
}

// queued opens a challenge of a phone that no other test has, with a message.
func queued(t *testing.T, s *Codes) otp.Challenge {
	t.Helper()
	opened, err := s.Open(t.Context(), otp.Opening{
		Place:  otp.Place{Phone: otp.Pseudonym(rand.Text())},
		ID:     uuid.New(),
		Digest: "digest",
		Letter: []byte("letter"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestUnreadableMessage checks that a message that cannot be read is an error and does not keep back the others.
func TestUnreadableMessage(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		s := newCodes(t, c, otp.Policy{TTL: otp.MaxLife, MaxAttempts: 5}, 1)
		first := queued(t, s)
		outbox := s.partitions[0].outbox()
		entry, err := c.redis.XAdd(t.Context(), &redis.XAddArgs{
			Stream: outbox,
			Values: []string{
				"key", outbox + "-none", "id", "no UUID", "send", "one", "time", "0", "receipt", "", "letter", "",
			},
		}).Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.redis.Do(t.Context(),
			"XCLAIM", outbox, "couriers", "courier", 0, entry, "RETRYCOUNT", 1, "FORCE", "JUSTID").Err(); err != nil {
			t.Fatal(err)
		}
		second := queued(t, s)
		age(t, c, abandoned)
		leases, err := s.Claim(t.Context(), 10)
		if !errors.Is(err, otp.ErrUnavailable) || !errors.Is(err, errReply) {
			t.Errorf("Claim: %v; want ErrUnavailable", err)
		}
		if len(leases) != 2 {
			t.Fatalf("Claim: %+v; want two leases", leases)
		}
		if leases[0].ID != first.ID || leases[1].ID != second.ID {
			t.Errorf("Claim: %+v; want the messages before and after the unreadable one", leases)
		}
	})
}

// TestClaimBehindHeld checks that a courier with room for one message finds an abandoned one at once, although many
// messages that others hold stand before it. It begins again if the machine is so slow that leases may run out
// meanwhile.
func TestClaimBehindHeld(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		for took := abandoned; took > abandoned/2; {
			s := newCodes(t, c, otp.Policy{TTL: otp.MaxLife, MaxAttempts: 5}, 1)
			const held = 500
			var leases []otp.Lease
			for range held {
				leases = append(leases, queued(t, s).Lease)
			}
			last := queued(t, s)
			age(t, c, abandoned)
			began := time.Now()
			var renewing sync.WaitGroup
			for _, l := range leases {
				renewing.Go(func() {
					if _, err := s.Renew(t.Context(), l); err != nil {
						t.Error(err)
					}
				})
			}
			renewing.Wait()
			claimed, err := s.Claim(t.Context(), 1)
			if took = time.Since(began); took > abandoned/2 {
				continue
			}
			if err != nil || len(claimed) != 1 || claimed[0].ID != last.ID {
				t.Errorf("Claim: %+v, %v; want the last message", claimed, err)
			}
		}
	})
}

// TestClaimPastFailure checks that a partition whose outbox cannot be read does not keep back the others.
func TestClaimPastFailure(t *testing.T) {
	c := connect(t, "cluster")
	s := newCodes(t, c, otp.Policy{TTL: otp.MaxLife, MaxAttempts: 5}, 8)
	const messages = 40
	for range messages {
		queued(t, s)
	}
	age(t, c, abandoned)
	broken := s.partitions[3].outbox()
	kept, err := c.redis.XLen(t.Context(), broken).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.redis.Set(t.Context(), broken, "no stream", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	defer c.redis.Del(t.Context(), broken)
	claimed, err := s.Claim(t.Context(), 2*messages)
	if !errors.Is(err, otp.ErrUnavailable) || len(claimed) != messages-int(kept) {
		t.Errorf("Claim: %d messages, %v; want %d, and ErrUnavailable", len(claimed), err, messages-kept)
	}
}
