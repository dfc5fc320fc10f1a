package operator

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/metrics"
)

// A summary is what the page draws.
type summary struct {
	Now         time.Time  `json:"now"`
	Version     string     `json:"version"`
	Copies      int        `json:"copies"`
	Shared      bool       `json:"shared"`    // false: the counts of the other copies are as old as SharedAt
	SharedAt    *time.Time `json:"shared_at"` // null: they were never known
	Outbox      *outbox    `json:"outbox"`    // null: Redis does not answer
	Resting     []string   `json:"resting"`   // providers that this copy does not ask for now
	DelayBounds []float64  `json:"delay_bounds"`
	// The last two days and the last hour: oldest first, without the periods in which nothing happened.
	Hours       []periodSummary `json:"hours"`
	FiveMinutes []periodSummary `json:"five_minutes"`
}

type outbox struct {
	Messages      int     `json:"messages"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

type periodSummary struct {
	From   time.Time `json:"from"`
	Counts []count   `json:"counts"`
	Delays delays    `json:"delays"` // codes answered within each bound, and one more for those that took longer
}

// summary answers GET /numbers.json.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	v := s.options.History.view()
	answer := summary{
		Now:         time.Now().UTC(),
		Version:     s.options.Version,
		Copies:      v.copies,
		Shared:      v.shared,
		DelayBounds: metrics.DelayBounds[:],
		Resting:     []string{},
		Hours:       v.summaries(byHour),
		FiveMinutes: v.summaries(byFiveMinutes),
	}
	if !v.sharedAt.IsZero() {
		at := v.sharedAt.UTC()
		answer.SharedAt = &at
	}
	ctx, cancel := context.WithTimeout(r.Context(), outboxTimeout)
	defer cancel()
	if messages, oldest, err := s.options.Outbox(ctx); err == nil {
		answer.Outbox = &outbox{messages, oldest.Seconds()}
	}
	for provider, rests := range s.options.Resting {
		if rests {
			answer.Resting = append(answer.Resting, provider)
		}
	}
	writeSummary(w, r, answer)
}

// summaries returns the periods of a resolution, oldest first.
func (v view) summaries(r *resolution) []periodSummary {
	summaries := []periodSummary{}
	for _, p := range slices.SortedFunc(maps.Keys(v.tallies), period.compare) {
		if t := v.tallies[p]; p.resolution == r {
			summaries = append(summaries, periodSummary{p.start(), sorted(t.counts), t.delays})
		}
	}
	return summaries
}

func writeSummary(w http.ResponseWriter, r *http.Request, answer summary) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept-Encoding")
	out := io.Writer(w)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") { // it repeats a few words a thousand times
		w.Header().Set("Content-Encoding", "gzip")
		compressed := gzip.NewWriter(w)
		defer compressed.Close()
		out = compressed
	}
	_ = json.NewEncoder(out).Encode(answer) // fails only when the client has closed the connection
}
