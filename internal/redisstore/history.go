package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// historyLife is longer than the two days that the operator's page shows.
const historyLife = 49 * time.Hour

// History is an operator.HistoryStore: what each copy has counted, by the hour.
type History struct{ client *Client }

// NewHistory gives the shelf on a connection.
func NewHistory(c *Client) *History { return &History{c} }

// Put replaces what the copy has in that hour.
func (s *History) Put(ctx context.Context, hour time.Time, copyID string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	key := historyKey(hour)
	_, err := s.client.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, copyID, value)
		p.Expire(ctx, key, historyLife)
		return nil
	})
	return err
}

// All gives what the copies have in each of the hours, by their ids.
func (s *History) All(ctx context.Context, hours []time.Time) ([]map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	var replies []*redis.MapStringStringCmd
	if _, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, hour := range hours {
			replies = append(replies, p.HGetAll(ctx, historyKey(hour)))
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

func historyKey(hour time.Time) string {
	return prefix + "numbers:" + hour.UTC().Format("2006-01-02T15")
}
