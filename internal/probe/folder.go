package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A Folder is what can be told about a folder without writing to it.
type Folder struct {
	Path  string  // The absolute path of the folder, or of the nearest one above it that exists.
	Fault error   // Why this user can make no file in it, with what to do; nil if the user can.
	Room  *uint64 // Bytes that this user may still write; nil if it is not known.
}

// InspectFolder returns what can be told about the folder of a file. The folder need not exist.
func InspectFolder(file string) Folder {
	path, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		path = filepath.Dir(file)
	}
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	f := Folder{Path: path}
	f.inspect()
	return f
}

// Unwritable returns the error of making or writing a file in words that say what to do, with the full path of the
// folder, or of the file if the fault is with that. An error with another cause is returned as it is.
func Unwritable(file string, err error) error {
	folder := InspectFolder(file)
	words := advice("the folder "+folder.Path, folder.Path, err)
	if _, missing := os.Stat(file); missing == nil && folder.Fault == nil && errors.Is(err, fs.ErrPermission) {
		path := filepath.Join(folder.Path, filepath.Base(file))
		words = advice("the file "+path, path, err)
	}
	if words == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", words, err)
}

// advice returns why something cannot be written, and what to do, or "" if the error has another cause.
func advice(what, path string, err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return what + " is on a file system that accepts no writes: mount a volume there"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk of " + what + " is full: make room there"
	case errors.Is(err, syscall.ENOTDIR):
		return path + " is no folder: remove it"
	case errors.Is(err, fs.ErrPermission):
		const words = "%s cannot be written by this user: give it to the user, with chown %d %s"
		return fmt.Sprintf(words, what, os.Getuid(), path)
	}
	return ""
}
