package spelling

import "testing"

//nolint:misspell // on purpose
func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"LENGTH", "LENGTH", 0},
		{"LENGHT", "LENGTH", 1},
		{"LENGT", "LENGTH", 1},
		{"LENNGTH", "LENGTH", 1},
		{"LENGZH", "LENGTH", 1},
		{"LEGNHT", "LENGTH", 2},
		{"URL", "URI", 1},
		{"HOST", "MODE", 3},
		{"CA", "ABC", 3}, // each letter is edited once at most
	} {
		if got := Distance(tc.a, tc.b); got != tc.want {
			t.Errorf("Distance(%q, %q) = %d; want %d", tc.a, tc.b, got, tc.want)
		}
		if got := Distance(tc.b, tc.a); got != tc.want {
			t.Errorf("Distance(%q, %q) = %d; want %d", tc.b, tc.a, got, tc.want)
		}
	}
}
