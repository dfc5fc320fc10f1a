package localname

import "testing"

func TestIs(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:1629": true, "[::1]:1629": true, "[::1]": true, "192.168.1.7": true, "10.0.2.2:1628": true,
		"localhost": true, "localhost:1629": true, "app.localhost": true, "otp:1629": true,
		"evil.example": false, "evil.example:1628": false, "evil.example.": false, "127.0.0.1.nip.example": false, "localhost.evil.example": false,
	} {
		if got := Is(host); got != want {
			t.Errorf("Is(%s) = %v; want %v", host, got, want)
		}
	}
}
