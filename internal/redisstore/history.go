package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// History is an operator.HistoryStore. It keeps what each copy of the service has counted, by the period.
type History struct{ client *Client }

// NewHistory returns the History on a connection.
func NewHistory(c *Client) *History { return &History{c} }

// Put replaces what the copy has counted in that period, and keeps the period for as long as life says.
func (s *History) Put(ctx context.Context, period, copyID string, value []byte, life time.Duration) error {
	key := s.key(period)
	return s.client.try(ctx, func(ctx context.Context) error {
		_, err := s.client.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, copyID, value)
			p.Expire(ctx, key, life)
			return nil
		})
		return err
	})
}

// All returns for each of the periods what the copies have counted, by the copy's identifier.
func (s *History) All(ctx context.Context, periods []string) ([]map[string][]byte, error) {
	replies := make([]*redis.MapStringStringCmd, len(periods))
	err := s.client.try(ctx, func(ctx context.Context) error {
		_, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, period := range periods {
				replies[i] = p.HGetAll(ctx, s.key(period))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]map[string][]byte, len(periods))
	for i, reply := range replies {
		all[i] = make(map[string][]byte)
		for id, value := range reply.Val() {
			all[i][id] = []byte(value)
		}
	}
	return all, nil
}

func (s *History) key(period string) string { return s.client.prefix + "numbers:" + period }
