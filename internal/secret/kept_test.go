package secret

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "secret")
	first, err := Kept(file)
	if err != nil || len(first.Reveal()) < 32 {
		t.Fatalf("Kept: %d bytes, %v; want at least 32", len(first.Reveal()), err)
	}
	if again, err := Kept(file); again.Reveal() != first.Reveal() || err != nil {
		t.Errorf("Kept again: another secret, %v; want the same", err)
	}
	if other, err := Kept(file + "2"); other.Reveal() == first.Reveal() || err != nil {
		t.Errorf("Kept in another file: the same secret, %v; want another", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Kept(file); err == nil {
		t.Error("Kept of a truncated file: no error; want one")
	}
}
