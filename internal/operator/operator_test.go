package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// A lineWriter sends every line that is written to it.
type lineWriter chan []byte

func (w lineWriter) Write(line []byte) (int, error) {
	w <- bytes.Clone(line)
	return len(line), nil
}

// TestServe checks that the server answers on its address until its context is done, and that a server whose address is
// taken logs that and returns.
func TestServe(t *testing.T) {
	lines := make(lineWriter, 10)
	s := server(NewHistory(), nil)
	s.options.Log = slog.New(slog.NewJSONHandler(lines, nil))
	s.Serve(t.Context(), "") // is off, and returns at once

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(ctx, "127.0.0.1:0") }()
	var logged struct{ Msg, Address, Page string }
	if err := json.Unmarshal(<-lines, &logged); err != nil || logged.Msg != "metrics" {
		t.Fatalf("the log begins with %+v, %v; want the address", logged, err)
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Get(logged.Page)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Request.URL.Host != logged.Address {
		t.Errorf("GET %s = %d; want 200", logged.Page, response.StatusCode)
	}
	s.Serve(t.Context(), logged.Address) // cannot have the address, and returns at once
	address := logged.Address
	const taken = "no metrics: set INTERNAL_ADDR to another address, or off"
	if err := json.Unmarshal(<-lines, &logged); err != nil || logged.Msg != taken {
		t.Errorf("the log of a server whose address is taken: %+v, %v; want %q", logged, err, taken)
	}
	cancel()
	<-ended
	if response, err := client.Get("http://" + address); err == nil {
		response.Body.Close()
		t.Error("the server answers after its context is done")
	}
}
