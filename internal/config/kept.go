package config

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kept gives the secret that the file holds, and makes file and secret where there is none: for
// development, so that tokens and codes outlive a restart. Only its owner can read the file.
func Kept(file string) (Secret, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Secret{}, fmt.Errorf("config: %w", err)
	}
	made := rand.Text() + rand.Text() // 260 bits
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(made)
		if err := errors.Join(err, f.Close()); err != nil {
			return Secret{}, fmt.Errorf("config: %w", err)
		}
		return NewSecret(made), nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return Secret{}, fmt.Errorf("config: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Secret{}, fmt.Errorf("config: %w", err)
	}
	if len(text) != len(made) {
		return Secret{}, fmt.Errorf("config: %s does not hold a whole secret: delete it", file)
	}
	return NewSecret(string(text)), nil
}
