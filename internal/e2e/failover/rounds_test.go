package failover

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	minutes = flag.Float64("minutes", 0, "for how long TestRounds repeats the stories; 0 skips it")
	seed    = flag.Uint64("seed", 0, "what decides the order of the stories and what they leave to chance; 0 draws one")
)

// TestRounds tells the stories again and again, in an order that the seed decides, and prints one table. make failover
// runs it.
func TestRounds(t *testing.T) {
	if *minutes == 0 {
		t.Skip("make failover MINUTES=10 runs it")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("seed %d\n", *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	sums := make(map[string]report)
	var order []story
	began := time.Now()
	for time.Since(began).Minutes() < *minutes {
		if len(order) == 0 { // each story once, before any of them comes again
			order = slices.Clone(stories)
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		s := order[0]
		order = order[1:]
		t.Run(s.name, func(t *testing.T) {
			found := s.tell(t, r)
			fmt.Println(found.line(s.name))
			found.check(t, s.name)
			sums[s.name] = sums[s.name].plus(found)
		})
	}
	fmt.Printf("\nseed %d, %v\n%s\n", *seed, time.Since(began).Round(time.Second), header)
	var all report
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Println(sums[name].line(name))
		all = all.plus(sums[name])
	}
	fmt.Println(all.line("all"))
}
