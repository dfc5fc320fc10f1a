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
		if got.Path != dir || got.Fault != nil || got.Room == nil || *got.Room == 0 {
			t.Errorf("%s: %+v; want room in %s", file, got, dir)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := InspectFolder(filepath.Join(file, "otp.db"))
	if got.Fault == nil || got.Fault.Error() != file+" is no folder: remove it" {
		t.Errorf("a file in place of the folder: %v; want that it is no folder", got.Fault)
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
		syscall.EACCES:  "the folder " + dir + " cannot be written",
		syscall.EROFS:   "the folder " + dir + " is on a file system that accepts no writes",
		syscall.ENOSPC:  "the disk of the folder " + dir + " is full",
		syscall.EIO:     "open: ",
		syscall.ENOTDIR: dir + " is no folder",
	} {
		err := Unwritable(filepath.Join(dir, "data", "otp.db"), fmt.Errorf("open: %w", cause))
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v; want %s", cause, err, want)
		}
	}
}

// TestUnwritableFile checks that a file of another user in a folder of this one is what has to be given to the user.
func TestUnwritableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("the file %s cannot be written by this user: give it to the user, with chown %d %[1]s (",
		path, os.Getuid())
	if err := Unwritable(path, fs.ErrPermission); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
}
