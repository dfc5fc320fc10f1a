package token

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	lookEvery = time.Second // at the folder
	stamp     = "20060102T150405.000Z"
	extension = ".pem"
	maxFile   = 64 << 10 // bytes
)

// A keyring is what the folder held at one time, the newest key first.
type keyring struct {
	keys    []*key
	set     []byte // the public keys as a JSON Web Key Set (RFC 7517 §5)
	listing string // of the files, so that they are read only when they change,
	whole   bool   // or when one of them was faulty
}

// ready is the newest key that has been published for as long as the grace; nil where none has.
func (r *keyring) ready(at time.Time, grace time.Duration) *key {
	for _, k := range r.keys {
		if !k.since.Add(grace).After(at) {
			return k
		}
	}
	return nil
}

// first is the key that was published first, the oldest of them: the one that most others know.
func (r *keyring) first() (first *key) {
	for _, k := range r.keys {
		if first == nil || !k.since.After(first.since) {
			first = k
		}
	}
	return first
}

func (r *keyring) byPath(path string) *key {
	for _, k := range r.keys {
		if k.path == path {
			return k
		}
	}
	return nil
}

func (r *keyring) byID(id string) *key {
	for _, k := range r.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// reload reads the folder if its files have changed or were faulty, or if it must, and takes over what it can: a file that is
// faulty keeps the key that it held before, and its fault is the error. Without any key the keys stay as
// they were.
//
// A key that is new to this process counts as published from now on. At the start it does so from the time
// of its file, so that a restart does not put an old key off.
func (i *Issuer) reload(now time.Time, must bool) error {
	old := i.keys.Load()
	files, listing, err := list(i.options.Folder)
	if err != nil || (listing == old.listing && old.whole && !must) {
		return err
	}
	starting := len(old.keys) == 0
	next := &keyring{listing: listing}
	var faults []error
	for _, f := range files {
		k, err := readKey(f)
		if err != nil {
			faults = append(faults, err)
			k = old.byPath(f.path)
		} else if known := old.byID(k.id); known != nil {
			k.since = known.since
		} else if k.since = now; starting && f.modified.Before(now) {
			k.since = f.modified.Truncate(time.Second)
		}
		if k != nil && next.byID(k.id) == nil { // and not the same key in another file
			next.keys = append(next.keys, k)
		}
	}
	next.whole = len(faults) == 0
	if len(next.keys) == 0 {
		return errors.Join(append(faults, fmt.Errorf("token: %s holds no key; make one with: dekamond-otp keys new", i.options.Folder))...)
	}
	slices.SortStableFunc(next.keys, func(a, b *key) int { return b.made.Compare(a.made) })
	var set struct {
		Keys []jwk `json:"keys"`
	}
	for n, k := range next.keys {
		set.Keys = append(set.Keys, k.jwk)
		if n > 0 && !starting && old.byID(k.id) == nil {
			i.options.Log.Warn("new signing key is older than another one, and will not sign", "kid", k.id, "made", k.made)
		}
	}
	if next.set, err = json.Marshal(set); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	i.keys.Store(next)
	return errors.Join(faults...)
}

type file struct {
	path           string
	size           int64
	made, modified time.Time
	others         bool // can read it
}

// list gives the PEM files of a folder, the last name first, so that of files with one time that one is
// the newest. A file that NewKey has named is as old as its name says. Every other one is as old as its
// modification, to the second: a platform that writes all files at once writes them in any order.
func list(folder string) (files []file, listing string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, "", fmt.Errorf("token: %w", err)
	}
	slices.Reverse(entries)
	var b strings.Builder
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != extension || strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(folder, name)
		info, err := os.Stat(path) // of what a link leads to
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("token: %w", err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		f := file{path: path, size: info.Size(), made: info.ModTime().Truncate(time.Second), modified: info.ModTime(), others: info.Mode().Perm()&0o004 != 0}
		if made, err := time.Parse(stamp, name[:min(len(name), len(stamp))]); err == nil {
			f.made = made
		}
		files = append(files, f)
		fmt.Fprintf(&b, "%s %d %d\n", name, f.size, f.modified.UnixNano())
	}
	return files, b.String(), nil
}

func readKey(f file) (*key, error) {
	if f.size > maxFile {
		return nil, fmt.Errorf("token: %s is no key: it has %d bytes", f.path, f.size)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	k, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("token: %s %w", f.path, err)
	}
	k.path, k.made, k.others = f.path, f.made, f.others
	return k, nil
}

// Watch takes over what changes in the folder, until ctx is done: within a second, or when hurry says so. It
// logs what is faulty, and tells changed which keys are published and which of them signs, at the start and
// at every change, and again while that fails.
func (i *Issuer) Watch(ctx context.Context, hurry <-chan os.Signal, changed func(ctx context.Context, signing string, published []string) error) {
	if i.options.Folder == "" {
		return
	}
	log := i.options.Log
	var state, told, failed, untold string
	for must := false; ; {
		if err := i.reload(time.Now(), must); err == nil {
			failed = ""
		} else if failed != err.Error() {
			failed = err.Error()
			log.ErrorContext(ctx, "signing keys not read", "error", failed)
		}
		signing, published := i.state()
		if now := fmt.Sprint(signing, published); now != state {
			state = now
			log.InfoContext(ctx, "signing keys", "signing", signing, "published", published)
		}
		if told != state {
			if err := changed(ctx, signing, published); err == nil {
				told, untold = state, ""
			} else if ctx.Err() == nil && untold != state {
				untold = state
				log.WarnContext(ctx, "change of signing keys not recorded", "error", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-hurry:
			must = true
		case <-time.After(lookEvery):
			must = false
		}
	}
}

// state names the keys, the newest first, and the one that signs now.
func (i *Issuer) state() (signing string, published []string) {
	for _, k := range i.keys.Load().keys {
		published = append(published, k.id)
	}
	return i.signing(time.Now()).id, published
}

// A Key is what there is to tell of a key of the folder.
type Key struct {
	ID, Algorithm string
	Made          time.Time
	Signs         bool // now
	Others        bool // others than its owner can read its file
}

// Keys are those of the folder, the newest first.
func (i *Issuer) Keys() (all []Key) {
	signing := i.signing(time.Now())
	for _, k := range i.keys.Load().keys {
		all = append(all, Key{ID: k.id, Algorithm: k.method.Alg(), Made: k.made, Signs: k == signing, Others: k.others})
	}
	return all
}

// Published gives the public keys as a JSON Web Key Set and how long it may be cached, which ends before a
// key that is not in it signs. There is none without a folder.
func (i *Issuer) Published() (set []byte, maxAge time.Duration, ok bool) {
	set = i.keys.Load().set
	return set, i.options.Grace / 2, set != nil
}

// NewKey makes a key for one of Algorithms in a new file of the folder, which is made if it is not there.
// Only its owner can read it.
func NewKey(folder, algorithm string) (path, id string, err error) {
	private, err := generate(algorithm)
	if err != nil {
		return "", "", err
	}
	k, err := newKey(private)
	if err != nil {
		return "", "", fmt.Errorf("token: the new key %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("token: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", "", fmt.Errorf("token: %w", err)
	}
	path = filepath.Join(folder, time.Now().UTC().Format(stamp)+"-"+k.id[:8]+extension)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeWhole(path, text); err != nil {
		return "", "", fmt.Errorf("token: %w", err)
	}
	return path, k.id, nil
}

// writeWhole makes a file appear with all that it holds, so that who watches the folder sees no half of it.
func writeWhole(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it has its name
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
