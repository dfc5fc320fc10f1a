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
	Path   string  // The absolute path of the folder, or of the nearest one above it that exists.
	Closed bool    // This user may make no file in it.
	Room   *uint64 // Bytes that this user may still write; nil if it is not known.
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
// folder. An error with another cause is returned as it is.
func Unwritable(file string, err error) error {
	folder := InspectFolder(file).Path
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the folder %s is on a file system that accepts no writes: mount a volume there (%w)",
			folder, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk of the folder %s is full: make room there (%w)", folder, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the folder %s cannot be written by this user: give it to the user, with chown %d %s (%w)",
			folder, os.Getuid(), folder, err)
	}
	return err
}
