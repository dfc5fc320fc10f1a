package secret

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
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

// TestKeptAtOnce checks that processes that start at the same time get the same secret, and none finds half of it.
func TestKeptAtOnce(t *testing.T) {
	for range 50 {
		file := filepath.Join(t.TempDir(), "secret")
		got := make([]Secret, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				var err error
				if got[i], err = Kept(file); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, s := range got {
			if s.Reveal() != got[0].Reveal() {
				t.Fatal("Kept of one file at the same time: different secrets")
			}
		}
	}
}

func TestWriteNew(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "keys")
	file := filepath.Join(folder, "key")
	if err := WriteNew(file, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(file, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("WriteNew of a file that exists: %v; want ErrExist", err)
	}
	if text, err := os.ReadFile(file); !bytes.Equal(text, []byte("first")) || err != nil {
		t.Errorf("the file holds %q, %v; want what was written first", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v; want 0700", info.Mode(), err)
	}
	if left, err := os.ReadDir(folder); len(left) != 1 || err != nil {
		t.Errorf("the folder holds %v, %v; want the file alone", left, err)
	}
}
