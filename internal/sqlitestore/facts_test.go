package sqlitestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listing returns the files of a folder with their sizes and times.
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
		if !strings.HasSuffix(e.Name(), "-shm") { // Readers share it with the writer.
			fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub?dir", "otp.db")
	if got, err := Inspect(t.Context(), path); err != nil || !got.Missing || listing(t, dir) != "" {
		t.Fatalf("Inspect of no file: %+v, %v, and the folder has %q; want it missing and nothing made",
			got, err, listing(t, dir))
	}
	a, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, pending bool) {
		t.Helper()
		before := listing(t, filepath.Dir(path))
		got, err := Inspect(t.Context(), path)
		if err != nil || got.Missing || got.WorldReadable || (len(got.Pending) > 0) != pending {
			t.Errorf("Inspect %s: %+v, %v; want pending: %v", when, got, err, pending)
		}
		if after := listing(t, filepath.Dir(path)); after != before {
			t.Errorf("Inspect %s changed\n%s to\n%s", when, before, after)
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
	if got, err := Inspect(t.Context(), path); err != nil || !got.WorldReadable {
		t.Errorf("Inspect of a world-readable file: %+v, %v; want it world-readable", got, err)
	}
	if err := os.WriteFile(path, []byte("hunter2, and no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Inspect of another file: %v; want an error that does not quote the file", err)
	}
}
