package sqlitestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listing is the files of a folder with their sizes and times.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(e.Name(), "-shm") { // which readers share with the writer
			fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func TestFacts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub?dir", "otp.db")
	if got, err := Facts(t.Context(), path); err != nil || !got.Missing || listing(t, dir) != "" {
		t.Fatalf("Facts of no file: %+v, %v, and the folder has %q; want it missing and nothing made", got, err, listing(t, dir))
	}
	a, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, pending bool) {
		t.Helper()
		before := listing(t, filepath.Dir(path))
		got, err := Facts(t.Context(), path)
		if err != nil || got.Missing || got.Others || (len(got.Pending) > 0) != pending {
			t.Errorf("Facts %s: %+v, %v; want pending: %v", when, got, err, pending)
		}
		if after := listing(t, filepath.Dir(path)); after != before {
			t.Errorf("Facts %s changed\n%s to\n%s", when, before, after)
		}
	}
	look("of an empty file", true)
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("while the service runs", false)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	look("after the service has ended", false)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Facts(t.Context(), path); err != nil || !got.Others {
		t.Errorf("Facts of a file for everybody: %+v, %v; want others", got, err)
	}
	if err := os.WriteFile(path, []byte("hunter2, and no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Facts(t.Context(), path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Facts of another file: %v; want an error in words of ours", err)
	}
}
