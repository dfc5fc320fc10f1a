package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A person logs in with a phone and then has tokens.
type person struct {
	phone   string
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

var lastPhone atomic.Int64

// newPeople returns people whose phones no other round has used.
func newPeople() []*person {
	people := make([]*person, *logins)
	for i := range people {
		people[i] = &person{phone: fmt.Sprintf("+98912%07d", 1_000_000+lastPhone.Add(1))}
	}
	return people
}

// An inbox is a webhook that keeps the code of each phone.
type inbox struct {
	*httptest.Server
	codes sync.Map
}

func newInbox() *inbox {
	i := new(inbox)
	i.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ To, Code string }
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			i.codes.Store(m.To, m.Code)
		}
		time.Sleep(*delay)
	}))
	return i
}

// await waits for the message of every person. It returns the messages a second, counted from the first request, which
// began that many seconds ago.
func (i *inbox) await(people []*person, ago float64) (rate float64, err error) {
	began := time.Now()
	for _, p := range people {
		for i.code(p.phone) == nil {
			if time.Since(began) > time.Minute {
				return 0, errors.New("a message has not arrived")
			}
			time.Sleep(time.Millisecond)
		}
	}
	return float64(len(people)) / (ago + time.Since(began).Seconds()), nil
}

func (i *inbox) code(phone string) any { code, _ := i.codes.Load(phone); return code }

// A call is made by every person in turn.
type call struct {
	name, method, path string
	body               func(*person) string
}

func (c call) do(client *http.Client, base string, p *person) error {
	r, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body(p)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if p.Access != "" {
		r.Header.Set("Authorization", "Bearer "+p.Access)
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %d %s", c.path, response.StatusCode, text)
	}
	return json.Unmarshal(text, p)
}

// load makes the call once for each person and returns the calls a second. It fails if a response is not a 2xx.
func load(base string, c call, people []*person) (rate float64, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *clients}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	work := make(chan *person, len(people))
	for _, p := range people {
		work <- p
	}
	close(work)
	errs := make([]error, *clients)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range *clients {
		wg.Go(func() {
			for p := range work {
				if errs[i] = c.do(client, base, p); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(len(people)) / time.Since(began).Seconds(), errors.Join(errs...)
}
