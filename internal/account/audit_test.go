package account

import (
	"slices"
	"testing"
)

// TestActions checks that the list has every action once.
func TestActions(t *testing.T) {
	names := slices.Compact(slices.Sorted(slices.Values(Actions)))
	if len(names) != len(Actions) || len(names) != 11 {
		t.Errorf("actions %v; want eleven", Actions)
	}
}
