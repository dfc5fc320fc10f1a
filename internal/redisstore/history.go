package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// historyLife is longer than the two days that the operator's page shows.
const historyLife = 49 * time.Hour

// History is an operator.HistoryStore. It keeps what each copy of the service has counted, by the hour.
type History struct{ client *Client }

// NewHistory returns the History on a connection.
func NewHistory(c *Client) *History { return &History{c} }

// Put replaces what the copy has counted in that hour.
func (s *History) Put(ctx context.Context, hour time.Time, copyID string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	key := s.key(hour)
	_, err := s.client.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, copyID, value)
		p.Expire(ctx, key, historyLife)
		return nil
	})
	return err
}

// All returns for each of the hours what the copies have counted, by the copy's identifier.
func (s *History) All(ctx context.Context, hours []time.Time) ([]map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	var replies []*redis.MapStringStringCmd
	if _, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, hour := range hours {
			replies = append(replies, p.HGetAll(ctx, s.key(hour)))
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

func (s *History) key(hour time.Time) string {
	return s.client.prefix + "numbers:" + hour.UTC().Format("2006-01-02T15")
}
