package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestInspectFolder(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"otp.db", "data/otp.db", "a/b/c/otp.db"} {
		got := InspectFolder(filepath.Join(dir, file))
		if got.Path != dir || got.Closed || got.Room == nil || *got.Room == 0 {
			t.Errorf("%s: %+v; want room in %s", file, got, dir)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := InspectFolder(filepath.Join(file, "otp.db")); !got.Closed {
		t.Errorf("a file in place of the folder: %+v; want it closed", got)
	}
	if got := InspectFolder("otp.db"); !filepath.IsAbs(got.Path) {
		t.Errorf("a relative path: %+v; want the full one", got)
	}
}

func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	for cause, want := range map[error]string{
		fs.ErrPermission: "the folder " + dir + " cannot be written by this user: give it to the user, with chown " +
			fmt.Sprint(os.Getuid()) + " " + dir,
		syscall.EACCES: "the folder " + dir + " cannot be written",
		syscall.EROFS:  "the folder " + dir + " is on a file system that accepts no writes",
		syscall.ENOSPC: "the disk of the folder " + dir + " is full",
		syscall.EIO:    "open: ",
	} {
		err := Unwritable(filepath.Join(dir, "data", "otp.db"), fmt.Errorf("open: %w", cause))
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v; want %s", cause, err, want)
		}
	}
}
