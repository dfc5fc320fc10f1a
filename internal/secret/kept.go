package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kept returns the secret that the file holds. If there is no file, Kept makes one with a random secret of 260 bits,
// readable by its owner alone. It serves development, where tokens and codes should outlive a restart although no
// secret is set.
func Kept(file string) (Secret, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	made := rand.Text() + rand.Text()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(made)
		if err := errors.Join(err, f.Close()); err != nil {
			return Secret{}, fmt.Errorf("secret: %w", err)
		}
		return New(made), nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	if len(text) != len(made) {
		return Secret{}, fmt.Errorf("secret: %s does not hold a whole secret; delete it", file)
	}
	return New(string(text)), nil
}
