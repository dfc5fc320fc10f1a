package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kept returns the secret that the file holds. If there is no file, Kept makes one with a random secret of 260 bits. It
// serves development, where codes should outlive a restart although no secret is set. Processes that start at the same
// time get the same secret.
func Kept(file string) (Secret, error) {
	made := rand.Text() + rand.Text()
	for {
		text, err := os.ReadFile(file)
		switch {
		case err == nil && len(text) == len(made):
			return New(string(text)), nil
		case err == nil:
			return Secret{}, fmt.Errorf("secret: %s does not hold a whole secret; delete it", file)
		case !errors.Is(err, fs.ErrNotExist):
			return Secret{}, fmt.Errorf("secret: %w", err)
		}
		if err := WriteNew(file, []byte(made)); err != nil && !errors.Is(err, fs.ErrExist) {
			return Secret{}, fmt.Errorf("secret: %w", err)
		}
	}
}

// WriteNew makes a file that only its owner can read, and its folder if there is none. The file appears with its whole
// content, so that no process that reads it at the same time finds half. If the file exists, WriteNew leaves it as it
// is and returns fs.ErrExist. Of several processes that make the same file, one succeeds; only on a file system without
// hard links can the last one replace the file of the first.
func WriteNew(path string, content []byte) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails after a renaming
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(f.Name(), path)
}
