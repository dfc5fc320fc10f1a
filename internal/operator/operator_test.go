package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
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

// TestServe checks that the server answers on its listener until its context is done.
func TestServe(t *testing.T) {
	lines := make(lineWriter, 10)
	s := server(NewHistory(), nil)
	s.options.Log = slog.New(slog.NewJSONHandler(lines, nil))
	s.Serve(t.Context(), nil) // is off, and returns at once

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(ctx, listener) }()
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
	cancel()
	<-ended
	if response, err := client.Get(logged.Page); err == nil {
		response.Body.Close()
		t.Error("the server answers after its context is done")
	}
}
