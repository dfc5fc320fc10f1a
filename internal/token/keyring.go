package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"dekamond-otp/internal/secret"
)

const (
	interval  = time.Second // between two looks at the folder
	stamp     = "20060102T150405.000Z"
	extension = ".pem"
	maxFile   = 64 << 10 // bytes
)

// A keyring is the content of the folder at one time, the newest key first.
type keyring struct {
	keys    []*key
	set     []byte // the public keys as a JSON Web Key Set (RFC 7517 §5)
	listing string // of the files, so that unchanged files are not read again
	whole   bool   // no file was faulty; a faulty one is read again, even if the listing is the same
}

// ready returns the newest key that has been published for the grace period, or nil.
func (r *keyring) ready(at time.Time, grace time.Duration) *key {
	for _, k := range r.keys {
		if !k.since.Add(grace).After(at) {
			return k
		}
	}
	return nil
}

// first returns the key that was published first, or the oldest of several that were published at the same time. It is
// the key that most verifiers know.
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

// reload reads the folder if a file has changed or was faulty, or if forced is true. A faulty file keeps the key that
// it held before, and its fault is part of the error. If the folder holds no key at all, the keys stay as they were.
func (i *Issuer) reload(now time.Time, forced bool) error {
	old := i.keys.Load()
	files, listing, err := list(i.options.Folder)
	if err != nil || listing == old.listing && old.whole && !forced {
		return err
	}
	next := &keyring{listing: listing}
	var faults []error
	for _, f := range files {
		k, err := readKey(f)
		if err != nil {
			faults = append(faults, err)
			k = old.byPath(f.path)
		} else {
			k.since = old.publishedSince(k, f, now)
		}
		if k != nil && next.byID(k.id) == nil { // the same key may be in two files
			next.keys = append(next.keys, k)
		}
	}
	next.whole = len(faults) == 0
	if len(next.keys) == 0 {
		fault := fmt.Errorf("token: %s holds no key; make one with: dekamond-otp keys new", i.options.Folder)
		return errors.Join(append(faults, fault)...)
	}
	slices.SortStableFunc(next.keys, func(a, b *key) int { return b.made.Compare(a.made) })
	if next.set, err = next.jwks(); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	i.warnOfOld(next, old)
	i.keys.Store(next)
	return errors.Join(faults...)
}

// publishedSince returns the time from which a key counts as published: now, if it is new to this process. At the start
// it is the time of its file, so that a restart does not postpone the first signature of a key.
func (r *keyring) publishedSince(k *key, f file, now time.Time) time.Time {
	if known := r.byID(k.id); known != nil {
		return known.since
	}
	starting := len(r.keys) == 0
	if starting && f.modified.Before(now) {
		return f.modified.Truncate(time.Second)
	}
	return now
}

// jwks returns the public keys as a JSON Web Key Set.
func (r *keyring) jwks() ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, k := range r.keys {
		set.Keys = append(set.Keys, k.jwk())
	}
	return json.Marshal(set)
}

// warnOfOld logs a key that was added to a running process and never signs, because another key is newer.
func (i *Issuer) warnOfOld(next, old *keyring) {
	if len(old.keys) == 0 {
		return
	}
	for _, k := range next.keys[1:] {
		if old.byID(k.id) == nil {
			const message = "new signing key is older than another one, and will not sign"
			i.options.Log.Warn(message, "kid", k.id, "made", k.made)
		}
	}
}

type file struct {
	path           string
	size           int64
	made, modified time.Time
	worldReadable  bool
}

// list returns the PEM files of a folder, the last name first, so that it counts as the newest of several files with
// the same time. A file that NewKey made has its time in its name. The time of any other file is that of its last
// modification, in whole seconds, because a platform that writes several files at once writes them in any order.
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
		info, err := os.Stat(path) // follows links
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("token: %w", err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		f := file{
			path:          path,
			size:          info.Size(),
			made:          info.ModTime().Truncate(time.Second),
			modified:      info.ModTime(),
			worldReadable: info.Mode().Perm()&0o004 != 0,
		}
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
		return nil, fmt.Errorf("token: %s is too large for a key: %d bytes, at most %d", f.path, f.size, maxFile)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	k, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("token: %s %w", f.path, err)
	}
	k.path, k.made, k.worldReadable = f.path, f.made, f.worldReadable
	return k, nil
}

// Changed is called with the identifiers of the key that signs and of the published keys, the newest first.
type Changed func(ctx context.Context, signing string, published []string) error

// Watch follows the changes of the folder until ctx is done. It looks once a second, and reads every file again when
// it receives from reread. It logs faults, and calls changed at the start and after every change of the signing or
// the published keys; a call that fails is repeated every second.
func (i *Issuer) Watch(ctx context.Context, reread <-chan os.Signal, changed Changed) {
	if i.options.Folder == "" {
		return
	}
	w := &watcher{Issuer: i, changed: changed}
	for forced := false; ; {
		w.look(ctx, forced)
		select {
		case <-ctx.Done():
			return
		case <-reread:
			forced = true
		case <-time.After(interval):
			forced = false
		}
	}
}

// A watcher remembers what it has logged and reported, so that it does both once.
type watcher struct {
	*Issuer
	changed Changed

	fault      string // of the last reload
	logged     string // the state of the keys that was logged
	reported   string // the state that changed was called with
	unreported string // the state for which the failure of changed was logged
}

func (w *watcher) look(ctx context.Context, forced bool) {
	log := w.options.Log
	if err := w.reload(w.options.Clock.Now(), forced); err == nil {
		w.fault = ""
	} else if w.fault != err.Error() {
		w.fault = err.Error()
		log.ErrorContext(ctx, "signing keys not read", "error", w.fault)
	}
	signing, published := w.state()
	state := fmt.Sprint(signing, published)
	if w.logged != state {
		w.logged = state
		log.InfoContext(ctx, "signing keys", "signing", signing, "published", published)
	}
	if w.reported == state {
		return
	}
	if err := w.changed(ctx, signing, published); err == nil {
		w.reported, w.unreported = state, ""
	} else if ctx.Err() == nil && w.unreported != state {
		w.unreported = state
		log.WarnContext(ctx, "change of signing keys not recorded", "error", err.Error())
	}
}

// state returns the identifiers of the key that signs now and of all keys, the newest first.
func (i *Issuer) state() (signing string, published []string) {
	for _, k := range i.keys.Load().keys {
		published = append(published, k.id)
	}
	return i.signing(i.options.Clock.Now()).id, published
}

// A Key describes a key of the folder.
type Key struct {
	ID, Algorithm string
	Made          time.Time
	Signs         bool // now
	WorldReadable bool // users other than the owner of its file can read it
}

// Keys returns the keys of the folder, the newest first.
func (i *Issuer) Keys() (all []Key) {
	signing := i.signing(i.options.Clock.Now())
	for _, k := range i.keys.Load().keys {
		all = append(all, Key{
			ID:            k.id,
			Algorithm:     k.method.Alg(),
			Made:          k.made,
			Signs:         k == signing,
			WorldReadable: k.worldReadable,
		})
	}
	return all
}

// Published returns the public keys as a JSON Web Key Set (RFC 7517 §5), and how long it may be cached: half the grace
// period, so that a cache knows a new key before it signs. It returns ok = false if there is no folder.
func (i *Issuer) Published() (set []byte, maxAge time.Duration, ok bool) {
	set = i.keys.Load().set
	return set, i.options.Grace / 2, set != nil
}

// NewKey makes a key for one of Algorithms in a new file of the folder, which is created if it does not exist. Only the
// owner can read the file.
func NewKey(folder, algorithm string) (path, id string, err error) {
	id, text, err := encodeNew(algorithm)
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(folder, time.Now().UTC().Format(stamp)+"-"+id[:8]+extension)
	if err := secret.WriteNew(path, text); err != nil {
		return "", "", fmt.Errorf("token: %w", err)
	}
	return path, id, nil
}

// HasKey reports whether the folder exists and has a file for a key.
func HasKey(folder string) (bool, error) {
	files, _, err := list(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(files) > 0, err
}

// EnsureKey makes a key for one of Algorithms in the folder, unless HasKey. Processes that call it at the same time get
// the same key.
func EnsureKey(folder, algorithm string) error {
	if has, err := HasKey(folder); has || err != nil {
		return err
	}
	_, text, err := encodeNew(algorithm)
	if err != nil {
		return err
	}
	err = secret.WriteNew(filepath.Join(folder, "first"+extension), text)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}
