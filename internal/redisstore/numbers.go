package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// numbersLife is longer than the two days that the operator's page shows.
const numbersLife = 49 * time.Hour

// Numbers is a metrics.Shelf: what each copy has counted, by the hour.
type Numbers struct{ client *Client }

// NewNumbers gives the shelf on a connection.
func NewNumbers(c *Client) *Numbers { return &Numbers{c} }

// Put replaces what the copy has in that hour.
func (s *Numbers) Put(ctx context.Context, hour time.Time, copyID string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	key := numbersKey(hour)
	_, err := s.client.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, copyID, value)
		p.Expire(ctx, key, numbersLife)
		return nil
	})
	return err
}

// All gives what the copies have in each of the hours, by their ids.
func (s *Numbers) All(ctx context.Context, hours []time.Time) ([]map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	var replies []*redis.MapStringStringCmd
	if _, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, hour := range hours {
			replies = append(replies, p.HGetAll(ctx, numbersKey(hour)))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	all := make([]map[string][]byte, len(hours))
	for i, reply := range replies {
		all[i] = make(map[string][]byte)
		for id, value := range reply.Val() {
			all[i][id] = []byte(value)
		}
	}
	return all, nil
}

func numbersKey(hour time.Time) string {
	return prefix + "numbers:" + hour.UTC().Format("2006-01-02T15")
}
